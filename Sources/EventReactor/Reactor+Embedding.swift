extension Reactor {
    /// Makes a reactor with a thread of its own, which runs until ``shutdown()``.
    ///
    /// The thread has every signal blocked except the synchronous ones and SIGPROF. Any thread; opens an eventfd, a
    /// timerfd and an epoll instance, and starts a thread (`pthread_create(3)`).
    ///
    /// - Throws: `ReactorError.Code.system` if the limit on descriptors or threads is reached, `noSuchProcessor`.
    public static func start(_ configuration: Configuration = .init()) throws(ReactorError) -> Reactor {
        let loop = try LoopState(configuration, drive: .ownThread) { () throws(ReactorError) in
            try EventBase()
        }
        let reactor = Reactor(loop)
        // The thread holds the loop, not the reactor: letting go of the reactor ends it.
        do throws(ReactorError) {
            let thread = try LoopThread.start(name: configuration.name, processor: configuration.processor) {
                loop.runUntilStopped()
            }
            loop.lifecycle.withLock { $0.setThread(thread) }
            return reactor
        } catch {
            // As if it were hosted and nobody drove it: it has no thread that could close it.
            if case .closeHere = loop.lifecycle.withLock({ $0.requestStop(isHosted: true) }) {
                loop.bindToCurrentThread()
                loop.close()
            }
            throw error
        }
    }

    /// Makes a reactor that the program drives, with ``run()`` or with one ``turn(waiting:)`` after another.
    ///
    /// The loop thread is the one that drives it, from its first turn on. Any thread; opens an eventfd, a timerfd and
    /// an epoll instance. Before you let go of it, shut it down, or drive it until what lives on it is gone: a handler, a
    /// pager or a job that refers to the reactor keeps it, and nobody else would run what ends that.
    ///
    /// - Throws: `ReactorError.Code.system` if the limit on descriptors is reached.
    public static func hosted(_ configuration: Configuration = .init()) throws(ReactorError) -> Reactor {
        Reactor(
            try LoopState(configuration, drive: .hosted) { () throws(ReactorError) in try EventBase() })
    }

    /// Drives a hosted reactor until it is shut down. Blocks the calling thread, which is the loop thread meanwhile.
    ///
    /// - Throws: `shutDown` if it was before, `alreadyDriven`, `notHosted`.
    public func run() throws(ReactorError) {
        try beginDriving()
        loop.runUntilStopped()
    }

    /// Takes one turn of a hosted reactor: waits for something to do, and does it.
    ///
    /// The calling thread is the loop thread during the turn and until another thread drives the reactor. Between
    /// two turns nothing is served; a program that calls this has to call it again soon.
    ///
    /// - Parameter waiting: how long to wait if there is nothing to do; zero by default, `nil` for as long as it takes.
    /// - Throws: `shutDown` if it was before, `alreadyDriven`, `notHosted`.
    public func turn(waiting: Duration? = .zero) throws(ReactorError) {
        try beginDriving()
        loop.bindToCurrentThread()
        if let waiting, waiting > .zero {
            let alarm = loop.startTimer(deadline: loop.deadline(after: waiting), Alarm())
            loop.turn(mayWait: true)
            _ = loop.cancelTimer(alarm)
        } else {
            loop.turn(mayWait: waiting == nil)
        }
        if loop.lifecycle.withLock({ $0.endDriving() }) {
            loop.close()
        }
    }

    private func beginDriving() throws(ReactorError) {
        guard loop.drive == .hosted else { throw ReactorError(.notHosted) }
        try loop.lifecycle.withLock { (state) throws(ReactorError) in try state.beginDriving() }
    }
}

/// Ends a wait, and that is all.
private final class Alarm: TimerHandler {
    func timerFired(_ id: TimerID) {}
}
