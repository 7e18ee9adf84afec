import EventReactor
package import Faultline
package import Userfault

/// A real userfaultfd with a script in front of it: the script may answer an operation itself, to force an
/// interleaving that the kernel only has now and then.
package final class ScriptedKernel: FaultKernel {
    /// An operation the pager asks for.
    package struct Call: Hashable, Sendable {
        package enum Kind: Hashable, Sendable { case copy, zero, poison, wake }
        package var kind: Kind
        package var range: AddressRange
        package var wakes: Bool
    }

    private let real: KernelDescriptor
    private let script: @Sendable (Call, KernelDescriptor) -> Outcome?
    private let log = Lock<[Call]>([])

    /// `script` returns the answer to give, or nil for the kernel's own.
    package init(
        _ descriptor: consuming Userfaultfd, script: @escaping @Sendable (Call, KernelDescriptor) -> Outcome?
    ) {
        real = KernelDescriptor(descriptor)
        self.script = script
    }

    /// The calls so far.
    package var calls: [Call] { log.withLock { $0 } }

    package var fileDescriptor: CInt { real.fileDescriptor }
    package var features: Features { real.features }

    package func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        try real.read(into: batch)
    }

    package func register(
        _ range: AddressRange, modes: RegistrationModes
    ) throws(UserfaultfdError) -> Operations {
        try real.register(range, modes: modes)
    }

    package func unregister(_ range: AddressRange) throws(UserfaultfdError) { try real.unregister(range) }

    package func wake(_ range: AddressRange) throws(UserfaultfdError) {
        _ = scripted(.wake, range, true)
        try real.wake(range)
    }

    package func copy(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        scripted(.copy, range, wake) ?? real.copy(from: source, to: range, wake: wake)
    }

    package func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        scripted(.zero, range, wake) ?? real.zero(range, wake: wake)
    }

    package func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        scripted(.poison, range, wake) ?? real.poison(range, wake: wake)
    }

    private func scripted(_ kind: Call.Kind, _ range: AddressRange, _ wakes: Bool) -> Outcome? {
        let call = Call(kind: kind, range: range, wakes: wakes)
        log.withLock { $0.append(call) }
        return script(call, real)
    }
}
