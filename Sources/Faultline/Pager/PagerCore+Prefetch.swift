import EventReactor
import Userfault

extension PagerCore {
    /// Begins to fill runs of pages that nobody waits for yet.
    func prefetch(
        _ runs: [Range<Int>], of region: RegionState, isInOrderOfUse: Bool = false,
        waiter: CheckedContinuation<PrefetchProgress, Never>?,
        report: (@Sendable (PrefetchProgress) -> Void)?
    ) -> Int {
        lastPrefetch += 1
        let prefetch = Prefetch(
            lastPrefetch, region, runs, isInOrderOfUse: isInOrderOfUse, faultCount: faultCounter.count,
            report: report)
        faultCounter.watchers += 1
        prefetch.waiter = waiter
        prefetches[prefetch.number] = prefetch
        schedule(prefetch)
        return prefetch.number
    }

    func cancelPrefetch(_ number: Int) {
        guard let prefetch = prefetches[number] else { return }
        prefetch.isCancelled = true
        if prefetch.open == 0 { end(prefetch) }
    }

    private func schedule(_ prefetch: Prefetch) {
        guard !prefetch.isScheduled, !prefetch.isHeldBack else { return }
        prefetch.isScheduled = true
        let core = LoopBound(self, on: reactor)
        let number = prefetch.number
        reactor.execute { core.value.advancePrefetch(number) }
    }

    /// Counts the faults that prefetches yield to: those on pages that are not being brought already, nor are about to be. A thread
    /// that follows a prefetch would not be helped by less of it.
    func countArrivals() {
        for place in 0..<arrivals.count {
            let fault = arrivals[place]
            guard let region = region(at: fault.address) else { continue }
            let page = region.page(of: fault.address)
            if fault.kind == .missing, !region.table.isMissing(page) { continue }
            if prefetches.values.contains(where: { $0.region === region && $0.isNext(page) }) { continue }
            faultCounter.count &+= 1
        }
    }

    /// Lets faults, sockets and timers come in between: it goes on in the next turn, after this one's commit.
    private func holdBack(_ prefetch: Prefetch) {
        guard !prefetch.isHeldBack else { return }
        prefetch.isHeldBack = true
        hasHeldPrefetches = true
        scheduleCommit()
    }

    /// At the end of a turn.
    func goOnWithPrefetches() {
        hasHeldPrefetches = false
        for prefetch in prefetches.values where prefetch.isHeldBack {
            prefetch.isHeldBack = false
            schedule(prefetch)
        }
    }

    private func advancePrefetch(_ number: Int) {
        guard let prefetch = prefetches[number] else { return }
        prefetch.isScheduled = false
        guard !prefetch.isCancelled, lifecycle == .serving, !prefetch.region.isClosed, let kernel else {
            prefetch.isCancelled = true
            if prefetch.open == 0 { end(prefetch) }
            return
        }
        // Answers that wait to be carried out are under way as well.
        guard scheduler.pagesAhead < prefetch.pace.pages else { return holdBack(prefetch) }
        let answersAtOnce = statistics.synchronousAnswers
        for run in prefetch.takeChunk() {
            noteInstalled(run, of: prefetch.region)
            prefetch.progress.skippedPages += run.count
            // What was dropped is zero when somebody touches it, and what has gone is not ours.
            for (part, fate) in prefetch.region.table.fates(of: run) where fate == .asAnswered {
                guard ask(for: part, prefetch, kernel) else { return }
            }
        }
        prefetch.report?(prefetch.progress)
        if prefetch.isExhausted {
            if prefetch.open == 0 { end(prefetch) }
        } else if statistics.synchronousAnswers != answersAtOnce {
            prefetch.note(
                after: 0, now: reactor.clock.now.nanoseconds, faultCount: faultCounter.count)
            holdBack(prefetch)
        } else if prefetch.open < prefetch.pace.width {
            schedule(prefetch)
        }
    }

    /// Asks for those of `pages` that are missing. False when the pager has stopped over it.
    private func ask(for pages: Range<Int>, _ prefetch: Prefetch, _ kernel: any FaultKernel) -> Bool {
        var page = pages.lowerBound
        while let start = prefetch.region.table.nextMissing(from: page, below: pages.upperBound) {
            page = prefetch.region.table.missingEnd(from: start, below: pages.upperBound)
            prefetch.progress.skippedPages -= page - start
            prefetch.progress.requestedPages += page - start
            let pages = pagesWithRoom(start..<page, of: prefetch)
            guard !pages.isEmpty else { continue }
            let cause = FaultCause(
                kind: .missing, isWrite: false, demand: start..<start, prefetch: prefetch.number)
            askFirst(prefetch.region, pages: pages, cause: cause, kernel: kernel)
            guard lifecycle == .serving else { return false }
        }
        return true
    }

    /// The first of `pages`, as far as they do not push out others.
    private func pagesWithRoom(_ pages: Range<Int>, of prefetch: Prefetch) -> Range<Int> {
        guard let paging = prefetch.region.paging else { return pages }
        let count = paging.roomAhead(pages.count)
        paging.grant(count)
        prefetch.progress.failedPages += pages.count - count
        return pages.prefix(count)
    }

    /// A request of a prefetch has its answer.
    func prefetchAnswered(_ ticket: RequestTicket) {
        guard let prefetch = prefetches[ticket.cause.prefetch] else { return }
        prefetch.answered(ticket, reactor.clock, faultCount: faultCounter.count)
        if prefetch.isExhausted || prefetch.isCancelled {
            if prefetch.open == 0 { end(prefetch) }
        } else if prefetch.open < prefetch.pace.width {
            schedule(prefetch)
        }
    }

    func end(_ prefetch: Prefetch) {
        guard prefetches.removeValue(forKey: prefetch.number) != nil else { return }
        faultCounter.watchers -= 1
        guard prefetch.waiter != nil else { return }
        prefetch.end = scheduler.endAhead
        answeredPrefetches.append(prefetch)
        // Otherwise the answers, or some of them, are still to be carried out.
        if !scheduler.hasPending { resumePrefetches() }
    }

    /// Lets those go on whose pages are there now.
    func resumePrefetches() {
        guard parked.isEmpty, !answeredPrefetches.isEmpty else { return }
        let done = scheduler.startAhead
        for prefetch in answeredPrefetches where prefetch.end <= done { prefetch.resume() }
        answeredPrefetches.removeAll { $0.end <= done }
    }

    /// The region goes, or all of them: nobody is left waiting.
    func endPrefetches(of region: RegionState) {
        for prefetch in prefetches.values where prefetch.region === region { end(prefetch) }
        for prefetch in answeredPrefetches where prefetch.region === region { prefetch.resume() }
        answeredPrefetches.removeAll { $0.region === region }
    }
}
