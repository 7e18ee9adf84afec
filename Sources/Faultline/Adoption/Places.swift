import EventReactor

/// A number of places, of which each that is taken is given back. One task at a time may wait for one.
final class Places: Sendable {
    private struct State {
        var free: Int
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let state: Lock<State>

    init(_ count: Int) {
        state = Lock(State(free: count))
    }

    /// Whoever has a place is bound to give it back soon: there is no cancelling.
    func take() async {
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                state.free -= 1
                if state.free >= 0 { return true }
                state.waiter = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    func giveBack() {
        let waiter = state.withLock { state in
            state.free += 1
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }
}
