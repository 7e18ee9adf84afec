import EventReactor
import Glibc
import Synchronization

/// Notices when somebody who is at work does not get on.
final class Watchdog: Sendable {
    /// Who gets on, told by a number that changes.
    private struct Participant {
        var name: String
        var progress: @Sendable () -> UInt64
        var last: UInt64
        var changed: ContinuousClock.Instant
    }

    private struct State {
        var participants: [Int: Participant] = [:]
        var next = 0
        var isStopped = false
    }

    private let limit: Duration
    private let onHang: @Sendable (String) -> Void
    private let state = Mutex(State())
    /// A thread of its own: it must not depend on any that may hang.
    private let thread: WorkerPool

    /// Begins to watch. `onHang` is told who has not moved for `limit`, on the watchdog's thread, once.
    init(limit: Duration, onHang: @escaping @Sendable (String) -> Void) throws {
        self.limit = limit
        self.onHang = onHang
        thread = try WorkerPool(threads: 1, name: "watchdog")
        let step = UInt32(limit / .microseconds(30))
        Task(executorPreference: thread) {
            // In steps much shorter than the limit; nothing else runs on this thread.
            while !self.look() { _ = usleep(step) }
        }
    }

    /// Watches somebody until ``forget(_:)``.
    func watch(_ name: String, progress: @escaping @Sendable () -> UInt64) -> Int {
        state.withLock { state in
            state.next += 1
            state.participants[state.next] = Participant(
                name: name, progress: progress, last: progress(), changed: .now)
            return state.next
        }
    }

    func forget(_ participants: [Int]) {
        state.withLock { state in
            for participant in participants { state.participants[participant] = nil }
        }
    }

    /// Runs something that must end in time.
    func watching<Value: Sendable>(
        _ name: String, _ body: () async throws -> Value
    ) async rethrows -> Value {
        let participant = watch(name) { 0 }
        defer { forget([participant]) }
        return try await body()
    }

    /// Ends the watching.
    func stop() {
        state.withLock { $0.isStopped = true }
    }

    /// Whether there is nothing more to watch.
    private func look() -> Bool {
        let (isOver, stuck) = state.withLock { state -> (Bool, [String]) in
            guard !state.isStopped else { return (true, []) }
            let now = ContinuousClock.now
            var stuck: [String] = []
            for (number, participant) in state.participants {
                let value = participant.progress()
                if value != participant.last {
                    state.participants[number]?.last = value
                    state.participants[number]?.changed = now
                } else if now - participant.changed >= limit {
                    stuck.append("\(participant.name) (at \(value))")
                }
            }
            state.isStopped = !stuck.isEmpty
            return (state.isStopped, stuck.sorted())
        }
        if !stuck.isEmpty {
            onHang("No progress for \(limit) by " + stuck.joined(separator: ", ") + ".")
        }
        return isOver
    }
}
