import EventReactor
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
    /// Finds out whether all of `range` lies in one registered mapping, without changing anything.
    func probe(_ range: AddressRange) -> RangeProbe
    /// Whether another thread reads the messages, so that the loop's may cause an event itself.
    var isRelayed: Bool { get }
    /// Whether every event has been read by the pager whose cause has gone on since.
    var isCaughtUp: Bool { get }
    /// Whether the descriptor of another fork would be had if that of the last one is kept.
    var canSpareDescriptors: Bool { get }
    /// Reads no more from the kernel; what has been read can still be had. Nothing is registered any more.
    func stopReading()
    /// Drops pages of this process's memory. Returns how many ranges were dropped: those before the first refusal.
    func discard(_ ranges: ArraySlice<AddressRange>) -> Int
}

/// A userfaultfd, closed when the last reference goes.
package final class KernelDescriptor: FaultKernel {
    private let descriptor: Userfaultfd
    /// Made when it is needed: few pagers evict.
    private let discarder = Lock<PageDiscarder?>(nil)

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

    package func discard(_ ranges: ArraySlice<AddressRange>) -> Int {
        let discarder = self.discarder.withLock { discarder in
            let current = discarder ?? PageDiscarder()
            discarder = current
            return current
        }
        return discarder.discard(ranges)
    }
}

extension FaultKernel {
    package func noteSealed(_ range: AddressRange) {}

    @inline(__always)
    package func copy(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        copy(from: source, to: range, wake: wake, protect: false)
    }

    package var isRelayed: Bool { false }
    package var isCaughtUp: Bool { true }
    package var canSpareDescriptors: Bool { true }
    package func stopReading() {}

    // A copy from an address that cannot be read is refused for its range first.
    package func probe(_ range: AddressRange) -> RangeProbe {
        switch copy(from: 1, to: range, wake: false) {
        case .again: .unknown
        case .gone(.range): .absent
        case .gone(.process): .processGone
        case .whole, .partial, .exists, .failed: .registered
        }
    }
}

/// What ``FaultKernel/probe(_:)`` finds.
package enum RangeProbe: Hashable, Sendable {
    case registered
    case absent
    /// The address space is changing; ask again later.
    case unknown
    case processGone
}
