import EventReactor

/// The writers' coming to rest, for as long as the snapshot waits for it: it may fail, or be cancelled, meanwhile. Any thread.
final class WriterPause: Sendable {
    private enum State {
        case awaited
        case awaitedBy(CheckedContinuation<Bool, Never>)
        case reached
        /// Nobody waits any more.
        case abandoned
    }

    private let state = Lock(State.awaited)

    /// The writers rest. False if that comes too late.
    func reach() -> Bool { end(.reached) }

    /// The snapshot is over.
    func abandon() { _ = end(.abandoned) }

    private func end(_ end: State) -> Bool {
        let (isFirst, waiter) = state.withLock { state -> (Bool, CheckedContinuation<Bool, Never>?) in
            switch state {
            case .awaited:
                state = end
                return (true, nil)
            case .awaitedBy(let waiter):
                state = end
                return (true, waiter)
            case .reached, .abandoned:
                return (false, nil)
            }
        }
        if let waiter {
            if case .reached = end { waiter.resume(returning: true) } else { waiter.resume(returning: false) }
        }
        return isFirst
    }

    /// Waits for one or the other. Returns whether the writers rest. Once.
    func wait() async -> Bool {
        await withCheckedContinuation { continuation in
            let isReached = state.withLock { state -> Bool? in
                switch state {
                case .awaited, .awaitedBy:
                    state = .awaitedBy(continuation)
                    return nil
                case .reached: return true
                case .abandoned: return false
                }
            }
            if let isReached { continuation.resume(returning: isReached) }
        }
    }
}
