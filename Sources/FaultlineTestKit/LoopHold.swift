public import EventReactor
import Synchronization

/// Keeps a reactor's loop busy until it is released, so that faults pile up unread.
public final class LoopHold: Sendable {
    private let isReleased = Mutex(false)

    /// Takes hold of the loop, as soon as it is free.
    public init(_ reactor: Reactor) {
        let hold = self
        reactor.execute {
            while !hold.isReleased.withLock({ $0 }) { ThreadCalls.giveWay() }
        }
    }

    /// Lets the loop go on.
    public func release() { isReleased.withLock { $0 = true } }
}
