import Synchronization

extension LoopState {
    /// Whether the calling thread is the loop's. Any thread; one relaxed load and `pthread_self`.
    @inline(__always)
    var isOnLoop: Bool {
        loopThread.load(ordering: .relaxed) == SystemCall.currentThread
    }

    /// Makes the calling thread the loop's.
    func bindToCurrentThread() {
        let thread = SystemCall.currentThread
        if loopThread.load(ordering: .relaxed) != thread {
            loopThread.store(thread, ordering: .relaxed)
            stallDetector?.watchCurrentThread()
        }
    }

    /// Puts an item into the queue. Any thread; on the loop without a system call.
    @inline(__always)
    func enqueue(_ item: JobItem) {
        if isOnLoop {
            ring.value.append(item)
            requestTurnIfAttached()
        } else {
            enqueueFromElsewhere(item)
        }
    }

    @inline(never)
    private func enqueueFromElsewhere(_ item: JobItem) {
        switch inbox.post(item) {
        case .queued: break
        case .needsDrainer: startDrainer()
        }
    }

    /// Runs `body` on the loop: at once if this is it, else as a job.
    func perform(_ body: @escaping @Sendable () -> Void) {
        if isOnLoop { body() } else { enqueueFromElsewhere(JobItem(ClosureWork(body))) }
    }

    /// The loop has ended and a job came in: a short-lived thread runs it, and what comes meanwhile. Not the thread
    /// that enqueues: it may hold a lock that the job takes.
    private func startDrainer() {
        do throws(ReactorError) {
            _ = try LoopThread.start(name: configuration.name, detached: true) { self.drainAfterEnd() }
        } catch {
            // No more threads to be had: better here than never.
            drainAfterEnd()
        }
    }

    private func drainAfterEnd() {
        repeat {
            loopThread.store(SystemCall.currentThread, ordering: .relaxed)
            drain()
            loopThread.store(0, ordering: .relaxed)
        } while !inbox.orphan()
    }

    /// The loop's own thread runs this from beginning to end.
    func runUntilStopped() {
        bindToCurrentThread()
        while !isStopRequested { turn(mayWait: true) }
        close()
    }

    /// Ends the loop: on the loop thread, outside of its turns. Returns when no job is left.
    func close() {
        // Nothing of ours is left in the host's base from here on.
        let attached = attachedReactor
        attachedReactor = nil
        defer { withExtendedLifetime(attached) {} }
        closeSources()
        drain()
        attachments.removeAll()
        closeDescriptors()
        // From the moment the inbox is orphaned, a drainer may use this object.
        let waiters: [Parked<Void>]
        drainAfterEnd()
        waiters = lifecycle.withLock { $0.finish() }
        for waiter in waiters { waiter.resume(()) }
    }
}
