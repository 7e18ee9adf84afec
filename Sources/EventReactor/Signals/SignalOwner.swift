/// Which event loop of this process receives signals.
///
/// libevent keeps that in variables of the process (`evsig_base`): a second base that asks for signals takes them
/// away from the first one, with no more than a warning on standard error. Hence the one variable of the process
/// that this module has.
enum SignalOwner {
    private struct Claim {
        var base: UInt
        var streams: Int
    }

    private static let claim = Lock<Claim?>(nil)

    /// Claims the signals for a base, once more.
    static func take(for base: UInt) throws(ReactorError) {
        let isGranted = claim.withLock { claim in
            guard let present = claim else {
                claim = Claim(base: base, streams: 1)
                return true
            }
            guard present.base == base else { return false }
            claim = Claim(base: base, streams: present.streams + 1)
            return true
        }
        guard isGranted else { throw ReactorError(.signalsInUse) }
    }

    /// Takes back one claim.
    static func release() {
        claim.withLock { claim in
            guard let present = claim else { return }
            claim = present.streams > 1 ? Claim(base: present.base, streams: present.streams - 1) : nil
        }
    }
}
