extension Reactor {
    /// Shuts the reactor down, and returns when it is.
    ///
    /// Cancels every source and timer (tasks that wait for them resume with ``ReactorError/shutDown``), runs the jobs that
    /// are ready until none is left, and ends the thread or makes ``run()`` return. Tasks that never suspend
    /// for good have to be cancelled first. Any thread, any task, also one that runs on the loop; may be called again
    /// and from several tasks, all of which wait for the end. An attached reactor needs its host's loop to be running
    /// still, see ``detach()``.
    public func shutdown() async {
        beginShutdown()
        await park(on: loop) { (waiter: Parked<Void>) in
            if !loop.lifecycle.withLock({ $0.addWaiter(waiter) }) { waiter.resume(()) }
        }
        // The thread has nothing left to do but to return. Under the lock: whoever comes second waits for the join.
        loop.lifecycle.withLock { lifecycle in
            if let thread = lifecycle.takeThread() { LoopThread.join(thread) }
        }
    }

    /// Begins what ``shutdown()`` waits for. Any thread.
    func beginShutdown() {
        switch loop.lifecycle.withLock({ $0.requestStop(isHosted: loop.drive == .hosted) }) {
        case .tellLoop: loop.requestStop()
        case .closeHere:
            loop.bindToCurrentThread()
            loop.close()
        case .wait, .done: break
        }
    }

    /// Whether a shutdown has not begun yet. Any thread; takes a lock for a moment.
    public var isRunning: Bool { loop.lifecycle.withLock { $0.state == .running } }
}

extension LoopState {
    /// Has the loop close at the end of its current or next turn. Any thread.
    func requestStop() {
        enqueue(JobItem(ClosureWork { self.isStopRequested = true }))
    }
}
