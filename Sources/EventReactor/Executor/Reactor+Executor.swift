// The reactor as an executor. The compiler calls these; programs rarely do.
extension Reactor {
    /// Puts a job into the queue. Any thread; on the loop thread without a system call, elsewhere with one write to
    /// an eventfd if the loop sleeps. After shutdown the job runs on a short-lived thread of its own.
    public func enqueue(_ job: consuming ExecutorJob) {
        loop.enqueue(JobItem(UnownedJob(job)))
    }

    /// Whether the calling thread is the loop's.
    public func isIsolatingCurrentContext() -> Bool? {
        loop.isOnLoop
    }

    /// Traps if the calling thread is not the loop's.
    public func checkIsolated() {
        precondition(loop.isOnLoop, "not on the thread of reactor '\(name)'")
    }

    /// The reactor as the executor of an actor: return it from `unownedExecutor`.
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        unsafe UnownedSerialExecutor(ordinary: self)
    }

    /// The reactor as the preferred executor of a task.
    public func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        unsafe UnownedTaskExecutor(ordinary: self)
    }

    func makeExecutorReferences() -> ExecutorReferences {
        unsafe ExecutorReferences(
            serial: asUnownedSerialExecutor(), task: asUnownedTaskExecutor(),
            handlers: handlerExecutor.asUnownedTaskExecutor())
    }
}

/// The reactor's queue, for tasks that are isolated to nothing.
package final class HandlerExecutor: TaskExecutor {
    private let loop: LoopState

    init(_ loop: LoopState) {
        self.loop = loop
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let item = JobItem(handler: UnownedJob(job))
        if loop.isOnLoop, loop.capturesHandlerJob {
            loop.capturedJob = item
        } else {
            loop.enqueue(item)
        }
    }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        unsafe UnownedTaskExecutor(ordinary: self)
    }
}
