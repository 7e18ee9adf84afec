/// An event loop that is an executor of Swift's concurrency as well.
///
/// One thread, one libevent base, one queue of jobs. Actors run on it by returning it as their `unownedExecutor`,
/// tasks by being made with it as their executor preference; both together cost the least. Descriptors and timers
/// are served by the same thread, so that a task that waits for one resumes without a thread switch.
///
/// A reactor is embedded in one of three ways: ``start(_:)`` gives it a thread of its own, ``hosted(_:)`` lets the
/// program drive it, and ``attached(to:_:)`` puts it into an `event_base` that the program runs already.
///
/// Shut it down with ``shutdown()``. Letting go of the last reference stops an own thread too, but nobody can wait for that.
public final class Reactor: SerialExecutor, TaskExecutor, Sendable {
    let loop: LoopState
    /// For tasks that are isolated to nothing: their jobs are told apart in the same queue, and run without the
    /// detour that a task takes which is on an actor's executor and does not belong there.
    package let handlerExecutor: HandlerExecutor

    init(_ loop: LoopState) {
        self.loop = loop
        handlerExecutor = HandlerExecutor(loop)
        loop.executors = makeExecutorReferences()
    }

    deinit {
        // Nobody can be waiting: whoever calls shutdown() holds a reference.
        switch loop.lifecycle.withLock({ $0.requestStop(isHosted: loop.drive == .hosted) }) {
        case .tellLoop: loop.requestStop()
        case .closeHere:
            loop.bindToCurrentThread()
            loop.close()
        case .wait, .done: break
        }
        if let thread = loop.lifecycle.withLock({ $0.takeThread() }) { LoopThread.detach(thread) }
    }

    /// The name given in the configuration.
    public var name: String { loop.configuration.name }

    /// Whether the calling thread is the loop's. Any thread; does not block or allocate (`pthread_self(3)`).
    public var isOnLoop: Bool { loop.isOnLoop }

    func requireLoop(_ function: StaticString = #function) {
        precondition(loop.isOnLoop, "\(function) belongs on the reactor's thread; call it inside run(_:)")
    }
}
