internal import EventReactor

/// The task that waits for a call. Resumed exactly once.
///
/// As the reactor's own way to suspend, but here, where the compiler sees what it is for: a fault goes through it twice.
@safe struct TaskWaiter: Sendable {
    @safe private enum Continuation {
        /// On the loop's thread, which will resume it as well: without an allocation.
        case onLoop(UnsafeContinuation<Void, Never>)
        /// Elsewhere: the loop may resume the task before it has quite suspended, which the thread sanitizer must understand.
        case elsewhere(CheckedContinuation<Void, Never>)
    }

    private let continuation: Continuation

    private init(_ continuation: UnsafeContinuation<Void, Never>) {
        self.continuation = unsafe .onLoop(continuation)
    }

    private init(_ continuation: CheckedContinuation<Void, Never>) {
        self.continuation = .elsewhere(continuation)
    }

    /// Suspends the calling task until the waiter that `body` is given is resumed.
    nonisolated(nonsending) static func wait(on reactor: Reactor, _ body: (TaskWaiter) -> Void) async {
        if reactor.isOnLoop {
            unsafe await withUnsafeContinuation { body(unsafe TaskWaiter($0)) }
        } else {
            await withCheckedContinuation { body(TaskWaiter($0)) }
        }
    }

    /// Lets the task go on, on its own executor.
    func resume() {
        switch continuation {
        case .onLoop(let continuation): unsafe continuation.resume()
        case .elsewhere(let continuation): continuation.resume()
        }
    }
}
