package import Userfault

/// What the pager asks of the kernel. The real thing is ``KernelDescriptor``; tests that must force an interleaving
/// put a script in front of it.
package protocol FaultKernel: AnyObject, Sendable {
    var fileDescriptor: CInt { get }
    var features: Features { get }
    func read(into batch: EventReader) throws(UserfaultfdError) -> Int
    func register(_ range: AddressRange, modes: RegistrationModes) throws(UserfaultfdError) -> Operations
    func unregister(_ range: AddressRange) throws(UserfaultfdError)
    func wake(_ range: AddressRange) throws(UserfaultfdError)
    func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome
    func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome
    func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome
    func unprotect(_ range: AddressRange, wake: Bool) -> Outcome
    func protect(_ range: AddressRange) -> Outcome
    func zero(_ range: AddressRange, wake: Bool) -> Outcome
    func poison(_ range: AddressRange, wake: Bool) -> Outcome
    /// `range` was replaced by memory that raises SIGBUS.
    func noteSealed(_ range: AddressRange)
}

/// A userfaultfd, closed when the last reference goes.
package final class KernelDescriptor: FaultKernel {
    private let descriptor: Userfaultfd

    package init(_ descriptor: consuming Userfaultfd) { self.descriptor = descriptor }

    package var fileDescriptor: CInt { descriptor.fileDescriptor }
    package var features: Features { descriptor.features }

    package func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        try batch.read(from: descriptor)
    }

    package func register(
        _ range: AddressRange, modes: RegistrationModes
    ) throws(UserfaultfdError) -> Operations {
        try descriptor.register(range, modes: modes)
    }

    package func unregister(_ range: AddressRange) throws(UserfaultfdError) {
        try descriptor.unregister(range)
    }
    package func wake(_ range: AddressRange) throws(UserfaultfdError) { try descriptor.wake(range) }

    package func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        var options: CopyOptions = wake ? [] : .dontWake
        if protect { options.insert(.writeProtected) }
        return descriptor.copy(from: source, to: range, options: options)
    }

    package func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        descriptor.move(from: source, to: range, options: wake ? [] : .dontWake)
    }

    package func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        var options: ContinueOptions = wake ? [] : .dontWake
        if protect { options.insert(.writeProtected) }
        return descriptor.mapExisting(range, options: options)
    }

    package func unprotect(_ range: AddressRange, wake: Bool) -> Outcome {
        descriptor.writeProtect(range, options: wake ? [] : .dontWake)
    }

    package func protect(_ range: AddressRange) -> Outcome {
        descriptor.writeProtect(range, options: .protect)
    }

    package func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        descriptor.zero(range, options: wake ? [] : .dontWake)
    }

    package func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        descriptor.poison(range, options: wake ? [] : .dontWake)
    }
}

extension FaultKernel {
    package func noteSealed(_ range: AddressRange) {}

    package func copy(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        copy(from: source, to: range, wake: wake, protect: false)
    }
}
