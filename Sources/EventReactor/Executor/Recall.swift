/// A point at which a task on the loop waits to be called upon, again and again, without an allocation.
///
/// The task must prefer the reactor's `handlerExecutor` and be isolated to nothing.
///
/// `@unchecked Sendable`: the continuation is touched on the loop's thread only, of which both methods make sure.
@safe package final class Recall: @unchecked Sendable {
    private let loop: LoopState
    private var waiting: UnsafeContinuation<Void, Never>?

    package init(_ reactor: Reactor) { loop = reactor.loop }

    /// Suspends the calling task; `whenWaiting` runs once ``resume()`` may be called.
    nonisolated(nonsending) package func wait(whenWaiting: () -> Void) async {
        unsafe await withUnsafeContinuation { continuation in
            precondition(loop.isOnLoop)
            unsafe waiting = continuation
            whenWaiting()
        }
    }

    /// Lets the task go on here and now, until it suspends again; from within a job, after that job.
    package func resume() {
        precondition(loop.isOnLoop)
        guard let continuation = unsafe waiting else { preconditionFailure("nobody waits here") }
        unsafe waiting = nil
        guard !loop.isRunningJobs else { return unsafe continuation.resume() }
        loop.capturesHandlerJob = true
        unsafe continuation.resume()
        loop.capturesHandlerJob = false
        loop.runCapturedJob()
    }
}

extension LoopState {
    /// Runs what ``Recall/resume()`` caught on its way into the queue.
    func runCapturedJob() {
        guard let item = capturedJob, let executors else { return }
        capturedJob = nil
        item.run(executors)
    }
}
