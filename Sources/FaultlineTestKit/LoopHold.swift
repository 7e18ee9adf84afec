public import EventReactor

/// Keeps a reactor's loop busy until it is released, so that faults pile up unread.
public final class LoopHold: Sendable {
    private let isReleased = Lock(false)

    private init() {}

    /// Takes hold of the loop; returns when it is held.
    public static func take(_ reactor: Reactor) async -> LoopHold {
        let hold = LoopHold()
        await withCheckedContinuation { continuation in
            reactor.execute {
                continuation.resume()
                while !hold.isReleased.withLock({ $0 }) { ThreadCalls.giveWay() }
            }
        }
        return hold
    }

    /// Lets the loop go on.
    public func release() { isReleased.withLock { $0 = true } }
}
