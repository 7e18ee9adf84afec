extension Reactor {
    /// Makes a reactor inside an `event_base` that the program runs.
    ///
    /// The loop thread is the calling thread, or later the one on which the base runs the reactor's callbacks. Call this
    /// on the thread that runs the base, or before it runs. The reactor keeps itself alive until ``detach()`` or
    /// ``shutdown()``, one of which has to come before `event_base_free`. It uses the base's default priority and
    /// never runs, stops or frees the base. Opens an eventfd and a timerfd.
    ///
    /// - Parameters:
    ///   - base: a `struct event_base *`. A program that touches it from several threads has to have called
    ///     `evthread_use_pthreads` before it made the base.
    ///   - configuration: budgets, name and observers.
    /// - Throws: `ReactorError.Code.system` if the limit on descriptors is reached, or libevent has no memory.
    @unsafe
    public static func attached(
        to base: OpaquePointer, _ configuration: Configuration = .init()
    ) throws(ReactorError) -> Reactor {
        let hostBase = unsafe EventBase(host: base)
        let loop = try LoopState(configuration, drive: .attached) { hostBase }
        let reactor = Reactor(loop)
        loop.attachedReactor = reactor
        loop.bindToCurrentThread()
        return reactor
    }

    /// Takes an attached reactor out of the host's base: the same as ``shutdown()``, but synchronous and on the loop
    /// thread only (traps elsewhere). Called from one of the reactor's own jobs, it takes effect at the end of the turn.
    ///
    /// - Throws: `shutDown` if it was before.
    public func detach() throws(ReactorError) {
        guard loop.lifecycle.withLock({ $0.state }) != .shutDown else { throw .shutDown }
        requireLoop()
        precondition(loop.drive == .attached, "only an attached reactor can be detached")
        guard case .tellLoop = loop.lifecycle.withLock({ $0.requestStop(isHosted: false) }) else {
            throw .shutDown
        }
        if loop.isInTurn {
            loop.isStopRequested = true
        } else {
            loop.close()
        }
    }
}
