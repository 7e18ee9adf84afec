import EventReactor

/// What a pager's stages took. Touched on the loop's thread only.
///
/// `@unchecked Sendable`: handlers' tasks hold it; all they do with it they do on the loop's thread.
final class LatencyRecorder: @unchecked Sendable {
    private(set) var values = PagerLatencies()
    private let clock: ReactorClock
    private let reactor: Reactor
    /// When messages were read last.
    private var readAt: Int64 = 0
    /// When the first ioctl since the last wake held its wakes back; 0 if none did.
    private var heldSince: Int64 = 0

    init(_ reactor: Reactor) {
        self.reactor = reactor
        clock = reactor.clock
    }

    var now: Int64 { clock.now.nanoseconds }

    func didRead() { readAt = now }

    func asked(at time: Int64, isFirst: Bool) {
        if isFirst { values.queue.record(nanoseconds: time - readAt) }
    }

    func answered(askedAt time: Int64) {
        // A handler may have left the loop, and its task comes back in its own time.
        guard reactor.isOnLoop else { return reactor.execute { [now] in self.answered(from: time, to: now) } }
        answered(from: time, to: now)
    }

    private func answered(from start: Int64, to end: Int64) { values.store.record(nanoseconds: end - start) }

    func called(at time: Int64, holdsWakes: Bool) {
        values.ioctls.record(nanoseconds: now - time)
        if holdsWakes, heldSince == 0 { heldSince = time }
    }

    func woke() {
        guard heldSince != 0 else { return }
        values.wake.record(nanoseconds: now - heldSince)
        heldSince = 0
    }
}
