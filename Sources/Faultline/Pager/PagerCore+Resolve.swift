import EventReactor
import Userfault

extension PagerCore {
    /// Asks the handler for pages that are in flight: the synchronous entry first, a task where that says 'not now'.
    func ask(_ region: RegionState, pages: Range<Int>, cause: FaultCause, failures: Int) {
        statistics.requests += 1
        let request = FaultRequest(
            range: region.range(of: pages), region: region.range, pageSize: region.pageSize, attempt: failures,
            cause: cause, pool: region.pool)
        do {
            if let resolution = try region.handler.resolveNow(request) {
                statistics.synchronousAnswers += 1
                answer(resolution, pages: pages, of: region, supplied: [], cause: cause, failures: failures)
                return
            }
        } catch {
            fail(pages, of: region, error: error, cause: cause, failures: failures + 1)
            return
        }
        start(request, region: region, pages: pages)
    }

    private func start(_ request: FaultRequest, region: RegionState, pages: Range<Int>) {
        let ticket = RequestTicket(
            link: link, region: region, pages: pages, cause: request.cause, failures: request.attempt)
        open.add(ticket)
        var request = request
        request.ticket = ticket
        // Starts here and now; a handler that does not suspend has answered when this returns.
        let task = Task.immediate(executorPreference: reactor.handlerExecutor) { [request] in
            let result: Result<Resolution, any Error>
            do {
                result = .success(try await ticket.region.handler.resolve(request))
            } catch {
                result = .failure(error)
            }
            ticket.link.finish(ticket, result)
        }
        if ticket.position != nil { ticket.task = task }
    }

    /// The task of a request has ended.
    func finish(_ ticket: RequestTicket, _ result: Result<Resolution, any Error>) {
        guard open.remove(ticket) else { return }
        ticket.task = nil
        let region = ticket.region
        switch result {
        case .success(let resolution):
            answer(
                resolution, pages: ticket.pages, of: region, supplied: ticket.supplied, cause: ticket.cause,
                failures: ticket.failures)
        case .failure(let error):
            ticket.pages.forEachPart(outside: ticket.supplied) { part in
                fail(part, of: region, error: error, cause: ticket.cause, failures: ticket.failures + 1)
            }
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
                    resolution, covering: range, part: region.range(of: part), region: region, failures: failures)
            }
            letGo(resolution.owner, of: region)
            guard filled != pages else { return }
            pages.forEachPart(outside: supplied + [filled]) { part in
                let error = PagerError(
                    .badResolution, "the last resolution left pages of its request open", range: region.range(of: part))
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
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0, whole.contains(range) else {
            throw PagerError(.badResolution, "a resolution must be pages of its request", range: range)
        }
        guard case .copy(let source, let byteCount) = resolution.action else { return range }
        guard byteCount >= range.byteCount else {
            throw PagerError(
                .badResolution, "a resolution of \(byteCount) bytes is too short for \(range.byteCount)", range: range)
        }
        if let overlap = registered.index.firstOverlap(AddressRange(start: source, byteCount: range.byteCount)) {
            throw PagerError(
                .sourceIsRegistered,
                "the bytes to copy lie in a range registered on the same reactor; copy them from elsewhere",
                range: overlap)
        }
        return range
    }

    /// Hands `part` of a resolution that fills `whole` to the scheduler.
    private func enqueue(
        _ resolution: Resolution, covering whole: AddressRange, part: AddressRange, region: RegionState, failures: Int
    ) {
        let action: Scheduler<Tag>.Action
        switch resolution.action {
        case .copy(let source, _): action = .copy(source: source + (part.start - whole.start))
        case .zero: action = .zero
        case .poison: action = .poison
        case .retry: return
        }
        if isReading {
            // Neighbours are in one request already, and requests come in ascending order: nothing to gain by queueing.
            let outcome = perform(action, part, wake: wakesAtOnce)
            if case .whole = outcome {
                install(part, of: region, action: action)
                statistics.bytes += part.byteCount
                if !wakesAtOnce { wakeLater(part) }
                return
            }
            // Anything else takes the ordinary road from here on.
            commit()
            knownOutcome = outcome
        }
        hold(resolution.owner)
        scheduler.add(
            Scheduler.Piece(
                range: part, action: action, pageSize: region.pageSize,
                tag: Tag(region: region, owner: resolution.owner, failures: failures, giveUp: false)))
        if knownOutcome != nil { commit() } else { scheduleCommit() }
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
