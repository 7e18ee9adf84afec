import EventReactor
import Userfault

extension PagerCore {
    /// The handler failed for pages that are in flight. `failures` counts this time.
    @inline(never)
    func fail(_ pages: Range<Int>, of region: RegionState, error: any Error, cause: FaultCause, failures: Int)
    {
        let wanted = pages.clamped(to: cause.demand)
        guard wanted == pages else {
            // What nobody waits for is not held against the handler: it is asked again when somebody does.
            tell(region, pages, error, failures, .abandoned)
            return forEachWanted(pages, of: region, cause) { wanted in
                fail(wanted, of: region, error: error, cause: cause, failures: failures)
            }
        }
        statistics.failures += 1
        let policy = region.options.failurePolicy
        let action: FaultFailure.Action
        if failures <= policy.retryLimit, lifecycle == .serving {
            let delay = policy.delay(afterFailure: failures)
            askAgain(pages, of: region, cause: cause, failures: failures, after: delay)
            action = .retrying(after: delay)
        } else if cause.kind == .writeProtect, policy.fallback == .poison || lifecycle != .serving {
            // The page is there, and its contents must not go: the write is let through.
            scheduler.add(
                Scheduler.Piece(
                    range: region.range(of: pages), action: .unprotect, pageSize: region.pageSize,
                    tag: Tag(region: region, owner: .none, failures: failures, demand: pages, giveUp: true)))
            scheduleCommit()
            action = .unprotected
        } else if policy.fallback == .poison || lifecycle != .serving {
            giveUp(pages, of: region, failures: failures)
            action = .poisoned
        } else {
            action = .stopped
        }
        tell(region, pages, error, failures, action)
        if action == .stopped { stop(because: PagerError.stopped(by: error, range: region.range(of: pages))) }
    }

    /// Calls `body` for the part of `pages` that threads were seen waiting for, and forgets about the rest: whoever has come to
    /// wait there since faults again.
    func forEachWanted(
        _ pages: Range<Int>, of region: RegionState, _ cause: FaultCause, _ body: (Range<Int>) -> Void
    ) {
        let wanted = pages.clamped(to: cause.demand)
        guard !wanted.isEmpty else { return abandon(pages, of: region, cause) }
        abandon(pages.lowerBound..<wanted.lowerBound, of: region, cause)
        abandon(wanted.upperBound..<pages.upperBound, of: region, cause)
        body(wanted)
    }

    /// Pages in flight are not to be supplied after all.
    func abandon(_ pages: Range<Int>, of region: RegionState, _ cause: FaultCause) {
        guard !pages.isEmpty else { return }
        if cause.prefetch != 0 { prefetches[cause.prefetch]?.progress.failedPages += pages.count }
        region.table.forget(pages)
        statistics.inFlightPages -= pages.count
        region.writeWatch?.snapshot?.supply?.abandoned(pages)
        region.paging?.ended(pages)
        wake(region.range(of: pages))
    }

    /// Asks the handler anew after a pause; the pages stay in flight.
    @inline(never)
    func askAgain(
        _ pages: Range<Int>, of region: RegionState, cause: FaultCause, failures: Int, after delay: Duration
    ) {
        let ticket = RequestTicket(link: link, region: region, pages: pages, cause: cause, failures: failures)
        open.add(ticket)
        let timer = reactor.startTimer(after: delay, self)
        retryTimers[timer] = ticket
        ticket.timer = timer
    }

    func retry(_ ticket: RequestTicket) {
        guard open.remove(ticket) else { return }
        ask(ticket.region, pages: ticket.pages, cause: ticket.cause, failures: ticket.failures)
        if lifecycle == .draining { closeIfDrained() }
    }

    /// Lets the pages' threads have SIGBUS.
    @inline(never)
    func giveUp(_ pages: Range<Int>, of region: RegionState, failures: Int) {
        scheduler.add(refusal(region.range(of: pages), of: region, failures: failures))
        scheduleCommit()
    }

    /// What makes `range` raise SIGBUS.
    func refusal(_ range: AddressRange, of region: RegionState, failures: Int) -> Scheduler<Tag>.Piece {
        Scheduler.Piece(
            range: range, action: .poison, pageSize: region.pageSize,
            tag: Tag(
                region: region, owner: .none, failures: failures, demand: region.pages(of: range),
                giveUp: true))
    }

    /// The kernel refused to install a piece.
    func failed(_ piece: Scheduler<Tag>.Piece, _ part: AddressRange, _ error: UserfaultfdError) {
        let region = piece.tag.region
        let pages = region.pages(of: part)
        guard piece.tag.giveUp else {
            let cause = FaultCause(
                kind: piece.action == .unprotect ? .writeProtect : .missing, isWrite: false,
                demand: piece.tag.demand)
            fail(pages, of: region, error: PagerError(error), cause: cause, failures: piece.tag.failures + 1)
            return
        }
        if piece.action == .unprotect {
            region.table.endWrite(pages)
            statistics.inFlightPages -= pages.count
            region.paging?.released()
            report(PagerError(error))
            return wake(part)
        }
        // A kernel without UFFDIO_POISON, or one that has no memory for it.
        sealInFlight(pages, of: region)
    }

    @inline(never)
    private func sealInFlight(_ pages: Range<Int>, of region: RegionState) {
        let range = region.range(of: pages)
        region.table.install(pages)
        statistics.inFlightPages -= pages.count
        region.paging?.ended(pages)
        if mayReplace(range, of: region) {
            do {
                try replace(range, of: region)
                statistics.poisonedPages += pages.count
            } catch {
                report(PagerError(error))
            }
        }
        wake(range)
        region.writeWatch?.installed(pages)
    }

    /// The range has gone from under us.
    @inline(never)
    func drop(_ range: AddressRange, of region: RegionState) {
        let pages = region.pages(of: range)
        region.table.forget(pages)
        statistics.inFlightPages -= pages.count
        region.writeWatch?.installed(pages)
        region.paging?.ended(pages)
        statistics.failures += 1
        let error = PagerError(
            .invalidRange, "the memory is not mapped, or not registered, any more", range: range)
        tell(region, pages, error, 1, .dropped)
    }

    @inline(never)
    private func tell(
        _ region: RegionState, _ pages: Range<Int>, _ error: any Error, _ failures: Int,
        _ action: FaultFailure.Action
    ) {
        configuration.onFailure?(
            FaultFailure(
                region: region.options.name, range: region.range(of: pages), error: error, failures: failures,
                action: action))
    }

    /// An error that concerns no page in particular.
    @inline(never)
    func report(_ error: PagerError) {
        statistics.failures += 1
        let range = error.range ?? AddressRange(start: 0, byteCount: 0)
        configuration.onFailure?(
            FaultFailure(
                region: configuration.name, range: range, error: error, failures: 1, action: .dropped))
    }
}

extension PagerError {
    static func stopped(by error: any Error, range: AddressRange) -> PagerError {
        (error as? PagerError) ?? PagerError(.handlerFailed, "a handler failed: \(error)", range: range)
    }
}
