internal import EventReactor

/// Work that is done once for all tasks that wait for it, on the threads of a pool, and cancelled when none of them waits
/// any more.
///
/// Not on the executor of whoever came first: who waits for a page must not depend on a thread that a page may be holding.
final class JoinedWork: Sendable {
    /// How it ended, for somebody who waited until then.
    enum Ending {
        case done
        /// It was cancelled because others had gone: do it anew.
        case abandoned
    }

    private struct State {
        var waiters: [Int: CheckedContinuation<Ending, any Error>] = [:]
        var lastWaiter = 0
        var result: Result<Ending, any Error>?
        var task: Task<Void, Never>?
        var isAbandoned = false
    }
    private let state = Lock(State())

    /// Begins. Called once, by whoever made it; others may wait before that.
    func start(on workers: WorkerPool, _ body: @escaping @Sendable () async throws -> Void) {
        let task = Task(executorPreference: workers) {
            do {
                try await body()
                self.end(.success(.done))
            } catch {
                self.end(.failure(error))
            }
        }
        let isAbandoned = state.withLock { state in
            if state.result == nil { state.task = task }
            return state.isAbandoned
        }
        if isAbandoned { task.cancel() }
    }

    /// Suspends until the work has ended, or the task of the caller is cancelled.
    ///
    /// - Throws: what the work throws, or that the task has been cancelled.
    func wait() async throws -> Ending {
        let number = state.withLock { state in
            state.lastWaiter += 1
            return state.lastWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let result = state.withLock { state in
                    if state.result == nil { state.waiters[number] = continuation }
                    return state.result
                }
                if let result { return continuation.resume(with: result) }
                // The handler below may have run before there was anything to resume.
                if Task.isCancelled { leave(number) }
            }
        } onCancel: {
            leave(number)
        }
    }

    private func leave(_ number: Int) {
        let (waiter, abandoned) = state.withLock { state in
            let waiter = state.waiters.removeValue(forKey: number)
            guard waiter != nil, state.waiters.isEmpty else { return (waiter, nil as Task<Void, Never>?) }
            state.isAbandoned = true
            return (waiter, state.task)
        }
        abandoned?.cancel()
        waiter?.resume(throwing: StoreError.cancelled())
    }

    private func end(_ ending: Result<Ending, any Error>) {
        let (result, waiters) = state.withLock { state in
            var result = ending
            // What it failed with may be no more than that it was cancelled.
            if case .failure = ending, state.isAbandoned { result = .success(.abandoned) }
            state.result = result
            state.task = nil
            defer { state.waiters.removeAll() }
            return (result, Array(state.waiters.values))
        }
        for waiter in waiters { waiter.resume(with: result) }
    }
}
