import EventReactor
import Userfault

extension PagerCore {
    /// Asks the handler for pages of which it is the first time: they are not in flight yet.
    func askFirst(_ region: RegionState, pages: Range<Int>, cause: FaultCause, kernel: any FaultKernel) {
        statistics.requests += 1
        let request = FaultRequest(
            range: region.range(of: pages), region: region.range, pageSize: region.pageSize, attempt: 0,
            cause: cause, pool: region.pool)
        do {
            if let resolution = try callNow(request, of: region) {
                statistics.synchronousAnswers += 1
                if installAtOnce(
                    resolution, range: request.range, pages: pages, of: region, kernel: kernel, isBegun: false
                ) {
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
        statistics.requests += 1
        let request = FaultRequest(
            range: region.range(of: pages), region: region.range, pageSize: region.pageSize,
            attempt: failures,
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

    /// The way of most answers, without the detours: the whole request, whose kernel call succeeds. While faults are
    /// read, answers come in ascending order and neighbours share a request, so that queueing has nothing to merge.
    /// False when nothing was done.
    private func installAtOnce(
        _ resolution: Resolution, range: AddressRange, pages: Range<Int>, of region: RegionState,
        kernel: any FaultKernel, isBegun: Bool
    ) -> Bool {
        guard resolution.range == nil else { return false }
        let outcome: Outcome
        let action: Scheduler<Tag>.Action
        switch resolution.action {
        case .copy(let source, let byteCount):
            guard byteCount >= range.byteCount,
                registered.index.firstOverlap(AddressRange(start: source, byteCount: range.byteCount)) == nil
            else { return false }
            action = .copy(source: source)
            statistics.copies += 1
            outcome = kernel.copy(from: source, to: range, wake: wakesAtOnce)
        case .zero:
            action = .zero
            statistics.zeroPages += 1
            outcome = kernel.zero(range, wake: wakesAtOnce)
        case .poison, .retry:
            return false
        }
        guard case .whole = outcome else {
            if !isBegun { begin(pages, of: region) }
            goOn(after: outcome, action, range, of: region, owner: resolution.owner, failures: 0)
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
        // A handler that does not suspend has answered when this returns.
        let runner = idleRunners.popLast() ?? HandlerRunner(reactor, link)
        reactor.asActivity(region.activity) { runner.run(ticket, on: reactor) }
    }

    @inline(__always)
    private func callNow(_ request: FaultRequest, of region: RegionState) throws -> Resolution? {
        try reactor.asActivity(region.activity) { try region.handler.resolveNow(request) }
    }

    /// The task of a request has an answer.
    func finish(_ ticket: RequestTicket, _ resolution: Resolution) {
        guard open.remove(ticket) else { return }
        if isReading, ticket.supplied.isEmpty, ticket.failures == 0, let kernel,
            installAtOnce(
                resolution, range: ticket.region.range(of: ticket.pages), pages: ticket.pages,
                of: ticket.region,
                kernel: kernel, isBegun: true)
        {
            return
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
        ticket.pages.forEachPart(outside: ticket.supplied) { part in
            fail(part, of: ticket.region, error: error, cause: ticket.cause, failures: ticket.failures + 1)
        }
        if lifecycle == .draining { closeIfDrained() }
    }

    /// Takes a part of an answer before its task has ended.
    func supply(_ resolution: Resolution, to ticket: RequestTicket) throws(PagerError) {
        guard ticket.position != nil else {
            throw PagerError(.requestIsOver, "a part of an answer came after its request was over")
        }
        let region = ticket.region
        let range = try check(resolution, pages: ticket.pages, of: region)
        let pages = region.pages(of: range)
        guard !ticket.supplied.contains(where: { $0.overlaps(pages) }) else {
            throw PagerError(.badResolution, "these pages have been supplied already", range: range)
        }
        if case .retry = resolution.action {
            throw PagerError(.badResolution, "a part of an answer cannot be a retry", range: range)
        }
        ticket.supplied.append(pages)
        hold(resolution.owner)
        enqueue(resolution, covering: range, part: range, region: region, failures: ticket.failures)
        letGo(resolution.owner, of: region)
    }

    @inline(never)
    private func answer(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState, supplied: [Range<Int>],
        cause: FaultCause, failures: Int
    ) {
        if case .retry(let delay) = resolution.action {
            pages.forEachPart(outside: supplied) { part in
                askAgain(part, of: region, cause: cause, failures: failures, after: delay)
            }
            return
        }
        do {
            let range = try check(resolution, pages: pages, of: region)
            let filled = region.pages(of: range)
            hold(resolution.owner)
            filled.forEachPart(outside: supplied) { part in
                enqueue(
                    resolution, covering: range, part: region.range(of: part), region: region,
                    failures: failures)
            }
            letGo(resolution.owner, of: region)
            guard filled != pages else { return }
            pages.forEachPart(outside: supplied + [filled]) { part in
                let error = PagerError(
                    .badResolution, "the last resolution left pages of its request open",
                    range: region.range(of: part))
                fail(part, of: region, error: error, cause: cause, failures: failures + 1)
            }
        } catch {
            pages.forEachPart(outside: supplied) { part in
                fail(part, of: region, error: error, cause: cause, failures: failures + 1)
            }
        }
    }

    /// The range that a resolution fills, when it is one that the request allows.
    private func check(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState
    ) throws(PagerError) -> AddressRange {
        let whole = region.range(of: pages)
        let range = resolution.range ?? whole
        let page = UInt(region.pageSize - 1)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0, whole.contains(range)
        else {
            throw PagerError(.badResolution, "a resolution must be pages of its request", range: range)
        }
        guard case .copy(let source, let byteCount) = resolution.action else { return range }
        guard byteCount >= range.byteCount else {
            throw PagerError(
                .badResolution, "a resolution of \(byteCount) bytes is too short for \(range.byteCount)",
                range: range)
        }
        if let overlap = registered.index.firstOverlap(
            AddressRange(start: source, byteCount: range.byteCount))
        {
            throw PagerError(
                .sourceIsRegistered,
                "the bytes to copy lie in a range registered on the same reactor; copy them from elsewhere",
                range: overlap)
        }
        return range
    }

    /// Hands `part` of a resolution that fills `whole` to the scheduler.
    private func enqueue(
        _ resolution: Resolution, covering whole: AddressRange, part: AddressRange, region: RegionState,
        failures: Int
    ) {
        let action: Scheduler<Tag>.Action
        switch resolution.action {
        case .copy(let source, _): action = .copy(source: source + (part.start - whole.start))
        case .zero: action = .zero
        case .poison: action = .poison
        case .retry: return
        }
        guard isReading else {
            queue(action, part, of: region, owner: resolution.owner, failures: failures)
            return scheduleCommit()
        }
        let outcome = perform(action, part, wake: wakesAtOnce)
        guard case .whole = outcome else {
            return goOn(after: outcome, action, part, of: region, owner: resolution.owner, failures: failures)
        }
        install(part, of: region, action: action)
        statistics.bytes += part.byteCount
        if !wakesAtOnce { wakeLater(part) }
    }

    private func queue(
        _ action: Scheduler<Tag>.Action, _ range: AddressRange, of region: RegionState,
        owner: Resolution.Owner,
        failures: Int
    ) {
        hold(owner)
        scheduler.add(
            Scheduler.Piece(
                range: range, action: action, pageSize: region.pageSize,
                tag: Tag(region: region, owner: owner, failures: failures, giveUp: false)))
    }

    /// The kernel has not taken a piece whole: from here on it takes the ordinary road.
    private func goOn(
        after outcome: Outcome, _ action: Scheduler<Tag>.Action, _ range: AddressRange,
        of region: RegionState,
        owner: Resolution.Owner, failures: Int
    ) {
        commit()
        queue(action, range, of: region, owner: owner, failures: failures)
        knownOutcome = outcome
        commit()
    }
}

// Buffers go back to their pool when the last piece that is copied from them has been settled.
extension PagerCore {
    func hold(_ owner: Resolution.Owner) {
        if case .buffer(let storage) = owner { storage.uses += 1 }
    }

    func letGo(_ owner: Resolution.Owner, of region: RegionState) {
        guard case .buffer(let storage) = owner else { return }
        storage.uses -= 1
        if storage.uses == 0 { region.pool.recycle(storage) }
    }
}

extension Range<Int> {
    /// Calls `body` with the parts of this range that none of `others` covers, in order.
    func forEachPart(outside others: [Range<Int>], _ body: (Range<Int>) -> Void) {
        guard !others.isEmpty else { return body(self) }
        var start = lowerBound
        for other in others.sorted(by: { $0.lowerBound < $1.lowerBound }) where other.overlaps(self) {
            if other.lowerBound > start { body(start..<other.lowerBound) }
            start = Swift.max(start, other.upperBound)
        }
        if start < upperBound { body(start..<upperBound) }
    }
}
