import EventReactor
import Userfault

extension PagerCore {
    /// Asks the handler for pages that are in flight: the synchronous entry first, a task where that says 'not now'.
    func ask(
        _ region: RegionState, pages: Range<Int>, kind: Fault.Kind, isWrite: Bool, threadID: UInt32?,
        failures: Int
    ) {
        statistics.requests += 1
        var request = FaultRequest(
            range: region.range(of: pages), region: region.range, pageSize: region.pageSize, kind: kind,
            isWrite: isWrite, threadID: threadID, attempt: failures, pool: region.pool, link: link)
        do {
            if let resolution = try region.handler.resolveNow(request) {
                statistics.synchronousAnswers += 1
                answer(resolution, request: request, region: region, supplied: [], failures: failures)
                return
            }
        } catch {
            fail(pages, of: region, error: error, failures: failures + 1, request: request)
            return
        }
        let id = requests.insert(
            Request(region: region, pages: pages, template: request, failures: failures))
        request.id = id
        start(request, handler: region.handler)
    }

    private func start(_ request: FaultRequest, handler: any FaultHandler) {
        let id = request.id
        let link = self.link
        // Starts here and now; a handler that does not suspend has answered when this returns.
        let task = Task.immediate(executorPreference: reactor.handlerExecutor) {
            let result: Result<Resolution, any Error>
            do {
                result = .success(try await handler.resolve(request))
            } catch {
                result = .failure(error)
            }
            link.finish(id, result)
        }
        requests.update(id) { $0.task = task }
    }

    /// The task of a request has ended.
    func finish(_ id: RequestID, _ result: Result<Resolution, any Error>) {
        guard let request = requests.remove(id), !request.region.isClosed, lifecycle != .closed else {
            return
        }
        switch result {
        case .success(let resolution):
            answer(
                resolution, request: request.template, region: request.region, supplied: request.supplied,
                failures: request.failures)
        case .failure(let error):
            request.pages.forEachPart(outside: request.supplied) { part in
                fail(
                    part, of: request.region, error: error, failures: request.failures + 1,
                    request: request.template)
            }
        }
        if lifecycle == .draining { closeIfDrained() }
    }

    /// Takes a part of an answer before its task has ended.
    func supply(_ resolution: Resolution, to id: RequestID) throws(PagerError) {
        guard let request = requests[id], !request.region.isClosed, lifecycle != .closed else {
            throw PagerError(.requestIsOver, "a part of an answer came after its request was over")
        }
        let range = try check(resolution, for: request.template)
        let pages = request.region.pages(of: range)
        guard !request.supplied.contains(where: { $0.overlaps(pages) }) else {
            throw PagerError(.badResolution, "these pages have been supplied already", range: range)
        }
        if case .retry = resolution.action {
            throw PagerError(.badResolution, "a part of an answer cannot be a retry", range: range)
        }
        requests.update(id) { $0.supplied.append(pages) }
        enqueue(resolution, covering: range, part: range, region: request.region, failures: request.failures)
    }

    private func answer(
        _ resolution: Resolution, request: FaultRequest, region: RegionState, supplied: [Range<Int>],
        failures: Int
    ) {
        let pages = region.pages(of: request.range)
        if case .retry(let delay) = resolution.action {
            pages.forEachPart(outside: supplied) { part in
                askAgain(part, of: region, request: request, failures: failures, after: delay)
            }
            return
        }
        do {
            let range = try check(resolution, for: request)
            let filled = region.pages(of: range)
            filled.forEachPart(outside: supplied) { part in
                enqueue(
                    resolution, covering: range, part: region.range(of: part), region: region,
                    failures: failures)
            }
            guard filled != pages else { return }
            pages.forEachPart(outside: supplied + [filled]) { part in
                let error = PagerError(
                    .badResolution, "the last resolution left pages of its request open",
                    range: region.range(of: part))
                fail(part, of: region, error: error, failures: failures + 1, request: request)
            }
        } catch {
            pages.forEachPart(outside: supplied) { part in
                fail(part, of: region, error: error, failures: failures + 1, request: request)
            }
        }
    }

    /// The range that a resolution fills, when it is one that the request allows.
    private func check(
        _ resolution: Resolution, for request: FaultRequest
    ) throws(PagerError) -> AddressRange {
        let range = resolution.range ?? request.range
        let page = UInt(request.pageSize - 1)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0,
            request.range.contains(range)
        else {
            throw PagerError(.badResolution, "a resolution must be pages of its request", range: range)
        }
        if case .copy(let source, let byteCount) = resolution.action {
            guard byteCount >= range.byteCount else {
                throw PagerError(
                    .badResolution, "a resolution of \(byteCount) bytes is too short for \(range.byteCount)",
                    range: range)
            }
            let bytes = AddressRange(start: source, byteCount: range.byteCount)
            if let overlap = registered.index.firstOverlap(bytes) {
                throw PagerError(
                    .sourceIsRegistered,
                    "the bytes to copy lie in a range registered on the same reactor; copy them from elsewhere",
                    range: overlap)
            }
        }
        return range
    }

    /// Hands `part` of a resolution that fills `whole` to the scheduler.
    func enqueue(
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
        if case .buffer(let storage) = resolution.owner { storage.uses += 1 }
        scheduler.add(
            Scheduler.Piece(
                range: part, action: action, pageSize: region.pageSize,
                tag: Tag(region: region, owner: resolution.owner, failures: failures, giveUp: false)))
        scheduleCommit()
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
