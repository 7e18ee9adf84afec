import EventReactor
import Userfault

extension PagerCore {
    /// Reads nothing more, and closes when all that is in flight is settled or the deadline passes.
    func drain(within deadline: Duration) {
        guard lifecycle == .serving else { return }
        // What has happened to the regions by now counts: pages that were dropped are zero, not to be sealed.
        catchUp()
        guard lifecycle == .serving else { return }
        lifecycle = .draining
        // Who causes an event waits until it is read, and nothing can be filled until then.
        if events.isEmpty { source?.isEnabled = false }
        regions.forEach { $1.writeWatch?.snapshot?.abort(.shutDown()) }
        regions.forEach { $1.paging?.settle { _ in } }
        closeIfDrained()
        guard lifecycle == .draining else { return }
        deadlineTimer = reactor.startTimer(after: deadline, self)
    }

    func closeIfDrained() {
        guard statistics.inFlightPages == 0 else { return }
        if regions.values.allSatisfy({ $0.paging?.flushes.isEmpty ?? true }) { close() }
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
        reactor.removeSpinSource(self)
        for family in families.values { takeBackAll(of: family) }
        for region in regions.values { retire(region) }
        for family in families.values { leave(family.whole) }
        if !events.isEmpty { endEvents() }
        regions = RangeIndex()
        families = [:]
        lastRegion = nil
        parked.removeAll()
        for timer in [parkedTimer, gatherTimer, deadlineTimer, strayTimer, readTimer, liveness?.timer] {
            if let timer { reactor.cancelTimer(timer) }
        }
        parkedTimer = nil
        gatherTimer = nil
        deadlineTimer = nil
        kernel = nil
        inThread = nil
        forgetProcess()
        for budget in budgets.values { budget.budget.release(self) }
        budgets = [:]
        link.forget()
        // Those whose owner has kept them go on.
        children = []
        onClosed?()
        onClosed = nil
        let idle = idleRunners
        idleRunners = []
        for runner in idle { runner.end() }
        let waiters = closeWaiters
        closeWaiters.removeAll()
        for waiter in waiters { waiter.resume() }
    }

    /// Takes what is left of events: forks have descriptors, and nobody must wait for their being read.
    private func endEvents() {
        var last = AddressRange(start: 0, byteCount: 0)
        regions.forEach { piece, region in
            last = AddressRange(start: piece.start, byteCount: region.pageSize)
        }
        if last.start != 0 { settleEvents(around: last) }
        kernel?.stopReading()
        readEvents()
    }

    func notifyWhenClosed(_ continuation: CheckedContinuation<Void, Never>) {
        if lifecycle == .closed { continuation.resume() } else { closeWaiters.append(continuation) }
    }

    func snapshot() -> PagerStatistics {
        for region in regions.values { noteInstalled(0..<region.table.pageCount, of: region) }
        var snapshot = statistics
        for family in families.values {
            for region in family.members {
                snapshot.presentPages += region.table.presentCount
                snapshot.add(region.watch.readAhead)
                if let paging = region.paging { snapshot.add(paging.residency) }
            }
        }
        addInThread(to: &snapshot)
        return snapshot
    }
}
