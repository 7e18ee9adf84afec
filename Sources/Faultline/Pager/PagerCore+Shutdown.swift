import EventReactor
import Userfault

extension PagerCore {
    /// Reads nothing more, and closes when all that is in flight is settled or the deadline passes.
    func drain(within deadline: Duration) {
        guard lifecycle == .serving else { return }
        lifecycle = .draining
        source?.isEnabled = false
        closeIfDrained()
        guard lifecycle == .draining else { return }
        deadlineTimer = reactor.startTimer(after: deadline, self)
    }

    func closeIfDrained() {
        if statistics.inFlightPages == 0 { close() }
    }

    /// Ends because of an error that the owner learns from `waitUntilStopped()`.
    @inline(never)
    func stop(because error: PagerError) {
        guard lifecycle != .closed else { return }
        if stopError == nil { stopError = error }
        // In the middle of a commit the rest of it is carried out first.
        if !isCommitting { close() }
    }

    /// Lets every thread go, and the descriptor.
    @inline(never)
    func close() {
        guard lifecycle != .closed else { return }
        lifecycle = .closed
        source?.cancel()
        source = nil
        for region in regions.values { retire(region) }
        regions = RangeIndex()
        lastRegion = nil
        parked.removeAll()
        for timer in [parkedTimer, deadlineTimer] {
            if let timer { reactor.cancelTimer(timer) }
        }
        parkedTimer = nil
        deadlineTimer = nil
        kernel = nil
        inThread = nil
        forgetProcess()
        link.forget()
        let idle = idleRunners
        idleRunners = []
        for runner in idle { runner.end() }
        let waiters = closeWaiters
        closeWaiters.removeAll()
        for waiter in waiters { waiter.resume() }
    }

    func notifyWhenClosed(_ continuation: CheckedContinuation<Void, Never>) {
        if lifecycle == .closed { continuation.resume() } else { closeWaiters.append(continuation) }
    }

    func snapshot() -> PagerStatistics {
        var snapshot = statistics
        snapshot.presentPages = regions.values.reduce(0) { $0 + $1.table.presentCount }
        for region in regions.values { snapshot.add(region.watch.readAhead) }
        addInThread(to: &snapshot)
        return snapshot
    }
}
