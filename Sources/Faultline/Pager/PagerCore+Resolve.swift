import EventReactor
import Userfault

extension PagerCore {
    /// Asks the handler for pages of which it is the first time: they are not in flight yet.
    func askFirst(_ region: RegionState, pages: Range<Int>, cause: FaultCause, kernel: any FaultKernel) {
        statistics.requests += 1
        let request = FaultRequest(
            range: region.range(of: pages), region: region.home, pageSize: region.pageSize, attempt: 0,
            baseOffset: region.homeOffset, firstPage: region.firstPage, cause: cause, pool: region.pool)
        do {
            if let resolution = try callNow(request, of: region) {
                statistics.synchronousAnswers += 1
                if cause.kind == .missing,
                    installAtOnce(
                        resolution, range: request.range, pages: pages, of: region, kernel: kernel,
                        demand: cause.demand, isBegun: false)
                {
                    return
                }
                begin(pages, of: region)
                return answer(resolution, pages: pages, of: region, supplied: [], cause: cause, failures: 0)
            }
        } catch {
            begin(pages, of: region)
            return fail(pages, of: region, error: error, cause: cause, failures: 1)
        }
        begin(pages, of: region)
        start(pages, of: region, cause: cause, failures: 0)
    }

    /// Asks the handler again for pages that are in flight.
    func ask(_ region: RegionState, pages: Range<Int>, cause: FaultCause, failures: Int) {
        if region.table.isAltered {
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: [])
            guard settled.isEmpty else {
                pages.forEachPart(outside: settled) {
                    ask(region, pages: $0, cause: cause, failures: failures)
                }
                return
            }
        }
        statistics.requests += 1
        let request = FaultRequest(
            range: region.range(of: pages), region: region.home, pageSize: region.pageSize,
            attempt: failures, baseOffset: region.homeOffset, firstPage: region.firstPage,
            cause: cause, pool: region.pool)
        do {
            if let resolution = try callNow(request, of: region) {
                statistics.synchronousAnswers += 1
                return answer(
                    resolution, pages: pages, of: region, supplied: [], cause: cause, failures: failures)
            }
        } catch {
            return fail(pages, of: region, error: error, cause: cause, failures: failures + 1)
        }
        start(pages, of: region, cause: cause, failures: failures)
    }

    /// What the answer to a whole request is to the kernel, where there is nothing else to look at; nil where there is.
    @inline(__always)
    private func plainAction(
        _ resolution: Resolution, range: AddressRange, pages: Range<Int>, of region: RegionState
    ) -> Scheduler<Tag>.Action? {
        guard resolution.range == nil, !resolution.isWriteProtected, !region.needsCare,
            !region.findsZeroPages, region.hugePages?.grid.pieces(in: pages) == nil,
            !region.table.isAltered || !region.table.hasAltered(pages)
        else { return nil }
        switch resolution.action {
        case .copy(let source, let byteCount):
            guard byteCount >= range.byteCount,
                !registered.index.overlaps(AddressRange(start: source, byteCount: range.byteCount))
            else { return nil }
            return .copy(source: source)
        case .zero where region.operations.contains(.zero): return .zero
        default: return nil
        }
    }

    /// The way of most answers, without the detours: the whole request, whose kernel call succeeds. While faults are
    /// read, answers come in ascending order and neighbours share a request, so that queueing has nothing to merge.
    /// False when nothing was done.
    private func installAtOnce(
        _ resolution: Resolution, range: AddressRange, pages: Range<Int>, of region: RegionState,
        kernel: any FaultKernel, demand: Range<Int>, isBegun: Bool
    ) -> Bool {
        guard let action = plainAction(resolution, range: range, pages: pages, of: region) else {
            return false
        }
        let outcome: Outcome
        if case .copy(let source) = action {
            statistics.copies += 1
            outcome = kernel.copy(from: source, to: range, wake: wakesAtOnce)
        } else {
            statistics.zeroPages += 1
            outcome = kernel.zero(range, wake: wakesAtOnce)
        }
        guard case .whole = outcome else {
            if !isBegun { begin(pages, of: region) }
            goOn(
                after: outcome, action, range, of: region, owner: resolution.owner, failures: 0,
                demand: demand)
            return true
        }
        if isBegun {
            region.table.install(pages)
            statistics.inFlightPages -= pages.count
        } else {
            region.table.installMissing(pages)
        }
        statistics.bytes += range.byteCount
        if !wakesAtOnce { wakeLater(range) }
        if case .buffer(let storage) = resolution.owner { region.pool.recycle(storage) }
        return true
    }

    private func start(_ pages: Range<Int>, of region: RegionState, cause: FaultCause, failures: Int) {
        let ticket = RequestTicket(link: link, region: region, pages: pages, cause: cause, failures: failures)
        open.add(ticket)
        if cause.prefetch != 0 { prefetches[cause.prefetch]?.asked(ticket, reactor.clock) }
        // A handler that does not suspend has answered when this returns.
        let runner = idleRunners.popLast() ?? HandlerRunner(reactor, link)
        // Asked here, since the call of a closure in another module is felt by every fault.
        if region.activity == nil {
            runner.run(ticket, on: reactor)
        } else {
            reactor.asActivity(region.activity) { runner.run(ticket, on: reactor) }
        }
    }

    @inline(__always)
    private func callNow(_ request: FaultRequest, of region: RegionState) throws -> Resolution? {
        if region.activity == nil { return try region.handler.resolveNow(request) }
        return try reactor.asActivity(region.activity) { try region.handler.resolveNow(request) }
    }

    /// The task of a request has an answer.
    func finish(_ ticket: RequestTicket, _ resolution: Resolution) {
        guard open.remove(ticket) else { return }
        defer { if ticket.cause.prefetch != 0 { prefetchAnswered(ticket) } }
        if ticket.supplied.isEmpty, ticket.failures == 0, ticket.cause.kind == .missing {
            let region = ticket.region
            let range = region.range(of: ticket.pages)
            if isReading {
                if let kernel,
                    installAtOnce(
                        resolution, range: range, pages: ticket.pages, of: region, kernel: kernel,
                        demand: ticket.cause.demand, isBegun: true)
                {
                    return
                }
            } else if let action = plainAction(resolution, range: range, pages: ticket.pages, of: region) {
                queue(
                    action, range, of: region, owner: resolution.owner, failures: 0,
                    demand: ticket.cause.demand, isAhead: ticket.cause.demand.isEmpty)
                scheduleCommitOfAnswers()
                if lifecycle == .draining { closeIfDrained() }
                return
            }
        }
        answer(
            resolution, pages: ticket.pages, of: ticket.region, supplied: ticket.supplied,
            cause: ticket.cause,
            failures: ticket.failures)
        if lifecycle == .draining { closeIfDrained() }
    }

    /// The task of a request has failed.
    func fail(_ ticket: RequestTicket, _ error: any Error) {
        guard open.remove(ticket) else { return }
        defer { if ticket.cause.prefetch != 0 { prefetchAnswered(ticket) } }
        let settled = settleAltered(
            ticket.pages, of: ticket.region, kind: ticket.cause.kind, supplied: ticket.supplied)
        ticket.pages.forEachPart(outside: settled) { part in
            fail(part, of: ticket.region, error: error, cause: ticket.cause, failures: ticket.failures + 1)
        }
        if lifecycle == .draining { closeIfDrained() }
    }
}
