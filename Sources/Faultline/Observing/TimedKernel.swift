import Userfault

/// Takes the time of what another kernel does.
final class TimedKernel: FaultKernel {
    private let base: any FaultKernel
    private let recorder: LatencyRecorder

    init(_ base: any FaultKernel, _ recorder: LatencyRecorder) {
        self.base = base
        self.recorder = recorder
    }

    var fileDescriptor: CInt { base.fileDescriptor }
    var features: Features { base.features }
    var isRelayed: Bool { base.isRelayed }
    var isCaughtUp: Bool { base.isCaughtUp }
    var canSpareDescriptors: Bool { base.canSpareDescriptors }

    func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        let count = try base.read(into: batch)
        if count > 0 { recorder.didRead() }
        return count
    }

    func register(_ range: AddressRange, modes: RegistrationModes) throws(UserfaultfdError) -> Operations {
        try base.register(range, modes: modes)
    }

    func unregister(_ range: AddressRange) throws(UserfaultfdError) { try base.unregister(range) }

    func wake(_ range: AddressRange) throws(UserfaultfdError) {
        defer { recorder.woke() }
        try base.wake(range)
    }

    private func timed(wake: Bool, _ call: () -> Outcome) -> Outcome {
        let start = recorder.now
        let outcome = call()
        recorder.called(at: start, holdsWakes: !wake && outcome == .whole)
        return outcome
    }

    func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        timed(wake: wake) { base.copy(from: source, to: range, wake: wake, protect: protect) }
    }

    func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        timed(wake: wake) { base.move(from: source, to: range, wake: wake) }
    }

    func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        timed(wake: wake) { base.mapExisting(range, wake: wake, protect: protect) }
    }

    func unprotect(_ range: AddressRange, wake: Bool) -> Outcome {
        timed(wake: wake) { base.unprotect(range, wake: wake) }
    }

    func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        timed(wake: wake) { base.zero(range, wake: wake) }
    }

    func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        timed(wake: wake) { base.poison(range, wake: wake) }
    }

    func protect(_ range: AddressRange) -> Outcome { base.protect(range) }
    func noteSealed(_ range: AddressRange) { base.noteSealed(range) }
    func probe(_ range: AddressRange) -> RangeProbe { base.probe(range) }
    func stopReading() { base.stopReading() }
    func discard(_ ranges: ArraySlice<AddressRange>) -> Int { base.discard(ranges) }
}
