import EventReactor
package import Faultline
package import Userfault

/// A real userfaultfd with a script in front of it: the script may answer an operation itself, to force an
/// interleaving that the kernel only has now and then.
package final class ScriptedKernel: FaultKernel {
    /// An operation the pager asks for.
    package struct Call: Hashable, Sendable {
        package enum Kind: Hashable, Sendable {
            case copy, move, mapExisting, unprotect, protect, zero, poison, wake, discard
        }
        package var kind: Kind
        package var range: AddressRange
        package var wakes: Bool
        /// Where a copy or a move takes its bytes from.
        package var source: UInt?
    }

    private let real: KernelDescriptor
    private let script: @Sendable (Call, KernelDescriptor) -> Outcome?
    private let log = Lock<[Call]>([])
    private let looks = Lock(0)

    /// `script` returns the answer to give, or nil for the kernel's own.
    package init(
        _ descriptor: consuming Userfaultfd, script: @escaping @Sendable (Call, KernelDescriptor) -> Outcome?
    ) {
        real = KernelDescriptor(descriptor)
        self.script = script
    }

    /// The calls so far.
    package var calls: [Call] { log.withLock { $0 } }

    /// How often messages have been asked for.
    package var readCount: Int { looks.withLock { $0 } }

    package var fileDescriptor: CInt { real.fileDescriptor }
    package var features: Features { real.features }

    package func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        looks.withLock { $0 += 1 }
        return try real.read(into: batch)
    }

    package func register(
        _ range: AddressRange, modes: RegistrationModes
    ) throws(UserfaultfdError) -> Operations {
        try real.register(range, modes: modes)
    }

    package func unregister(_ range: AddressRange) throws(UserfaultfdError) { try real.unregister(range) }

    package func probe(_ range: AddressRange) -> RangeProbe { real.probe(range) }

    package func wake(_ range: AddressRange) throws(UserfaultfdError) {
        _ = scripted(.wake, range, true)
        try real.wake(range)
    }

    package func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        scripted(.copy, range, wake, source)
            ?? real.copy(from: source, to: range, wake: wake, protect: protect)
    }

    package func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        scripted(.move, range, wake, source) ?? real.move(from: source, to: range, wake: wake)
    }

    package func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        scripted(.mapExisting, range, wake) ?? real.mapExisting(range, wake: wake, protect: protect)
    }

    package func unprotect(_ range: AddressRange, wake: Bool) -> Outcome {
        scripted(.unprotect, range, wake) ?? real.unprotect(range, wake: wake)
    }

    package func protect(_ range: AddressRange) -> Outcome {
        scripted(.protect, range, false) ?? real.protect(range)
    }

    package func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        scripted(.zero, range, wake) ?? real.zero(range, wake: wake)
    }

    package func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        scripted(.poison, range, wake) ?? real.poison(range, wake: wake)
    }

    /// A script that answers `discard` with anything but `whole` refuses that range.
    package func discard(_ ranges: ArraySlice<AddressRange>) -> Int {
        for (index, range) in ranges.enumerated() {
            if let outcome = scripted(.discard, range, false), outcome != .whole {
                return real.discard(ranges.prefix(index))
            }
        }
        return real.discard(ranges)
    }

    private func scripted(_ kind: Call.Kind, _ range: AddressRange, _ wakes: Bool, _ source: UInt? = nil)
        -> Outcome?
    {
        let call = Call(kind: kind, range: range, wakes: wakes, source: source)
        log.withLock { $0.append(call) }
        return script(call, real)
    }
}
