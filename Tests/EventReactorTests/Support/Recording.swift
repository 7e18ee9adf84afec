import EventReactor
import Synchronization

/// A handler made of a closure.
final class OnReady: ReadinessHandler {
    private let body: (Readiness) -> Void
    private let abandoned: () -> Void

    init(abandoned: @escaping () -> Void = {}, _ body: @escaping (Readiness) -> Void) {
        self.body = body
        self.abandoned = abandoned
    }

    func descriptorReady(_ readiness: Readiness) { body(readiness) }
    func descriptorAbandoned() { abandoned() }
}

/// End-of-turn work made of a closure.
final class AtEndOfTurn: EndOfTurnWork {
    private let body: () -> Void

    init(_ body: @escaping () -> Void) { self.body = body }

    func endOfTurn() { body() }
}

/// A timer handler made of a closure.
final class OnTimer: TimerHandler {
    private let body: (TimerID) -> Void

    init(_ body: @escaping (TimerID) -> Void) { self.body = body }

    func timerFired(_ id: TimerID) { body(id) }
}

/// A list that any thread may append to.
final class Log<Element: Sendable>: Sendable {
    private let elements = Lock<[Element]>([])

    func append(_ element: Element) { elements.withLock { $0.append(element) } }
    var all: [Element] { elements.withLock { $0 } }
    var count: Int { elements.withLock { $0.count } }
}

/// Something that one side opens and others wait for.
final class Gate: Sendable {
    private struct State: Sendable {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Lock(State())

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// A number that any thread may count up.
final class Count: Sendable {
    private let number = Atomic(0)

    func increment() { number.add(1, ordering: .sequentiallyConsistent) }
    var value: Int { number.load(ordering: .sequentiallyConsistent) }
}

/// Remembers the counters at the end of the last turn.
final class LastTurn: TurnObserver {
    private let last = Lock(TurnStatistics())

    func turnEnded(_ statistics: TurnStatistics) { last.withLock { $0 = statistics } }
    var statistics: TurnStatistics { last.withLock { $0 } }
}
