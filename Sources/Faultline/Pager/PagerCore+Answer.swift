import EventReactor
import Userfault

// The full road of an answer, with parts, refusals and requests to come back later.
extension PagerCore {
    /// Takes a part of an answer before its task has ended.
    func supply(_ resolution: Resolution, to ticket: RequestTicket) throws(PagerError) {
        guard ticket.position != nil else {
            throw PagerError(.requestIsOver, "a part of an answer came after its request was over")
        }
        let region = ticket.region
        let range = try check(resolution, pages: ticket.pages, of: region, kind: ticket.cause.kind)
        let pages = region.pages(of: range)
        guard !ticket.supplied.contains(where: { $0.overlaps(pages) }) else {
            throw PagerError(.badResolution, "these pages have been supplied already", range: range)
        }
        if case .retry = resolution.action {
            throw PagerError(.badResolution, "a part of an answer cannot be a retry", range: range)
        }
        ticket.supplied.append(pages)
        hold(resolution.owner)
        let altered = settleAltered(pages, of: region, kind: ticket.cause.kind, supplied: [])
        pages.forEachPart(outside: altered) { part in
            enqueue(
                resolution, covering: range, part: region.range(of: part), region: region,
                failures: ticket.failures, cause: ticket.cause)
        }
        letGo(resolution.owner, of: region)
    }

    @inline(never)
    func answer(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState, supplied: [Range<Int>],
        cause: FaultCause, failures: Int
    ) {
        if case .retry(let delay) = resolution.action {
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            pages.forEachPart(outside: settled) { part in
                forEachWanted(part, of: region, cause) { wanted in
                    askAgain(wanted, of: region, cause: cause, failures: failures, after: delay)
                }
            }
            return
        }
        do {
            let range = try check(resolution, pages: pages, of: region, kind: cause.kind)
            // What has become of the pages meanwhile, and while checking, goes before the answer.
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            let filled = region.pages(of: range)
            hold(resolution.owner)
            filled.forEachPart(outside: settled) { part in
                enqueue(
                    resolution, covering: range, part: region.range(of: part), region: region,
                    failures: failures, cause: cause)
            }
            letGo(resolution.owner, of: region)
            guard filled != pages else { return }
            pages.forEachPart(outside: settled + [filled]) { part in
                forEachWanted(part, of: region, cause) { wanted in
                    let error = PagerError(
                        .badResolution, "the last resolution left pages of its request open",
                        range: region.range(of: wanted))
                    fail(wanted, of: region, error: error, cause: cause, failures: failures + 1)
                }
            }
        } catch {
            let settled = settleAltered(pages, of: region, kind: cause.kind, supplied: supplied)
            pages.forEachPart(outside: settled) { part in
                fail(part, of: region, error: error, cause: cause, failures: failures + 1)
            }
        }
    }

    /// The range that a resolution fills, when it is one that the request allows.
    private func check(
        _ resolution: Resolution, pages: Range<Int>, of region: RegionState, kind: Fault.Kind
    ) throws(PagerError) -> AddressRange {
        let whole = region.range(of: pages)
        let range = resolution.range ?? whole
        let page = UInt(region.pageSize - 1)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0, whole.contains(range)
        else {
            throw PagerError(.badResolution, "a resolution must be pages of its request", range: range)
        }
        guard resolution.answers(kind) else {
            throw PagerError(
                .badResolution,
                "a \(kind) fault is not resolved by this: its thread would fault again, for ever",
                range: range)
        }
        if let needed = resolution.neededOperation, !region.operations.contains(needed) {
            throw PagerError(
                .unsupportedOperation,
                "the kernel does not offer \(needed) for this memory and these modes, only \(region.operations)",
                range: range)
        }
        if resolution.isWriteProtected, !region.options.modes.contains(.writeProtect) {
            throw PagerError(
                .unsupportedOperation, "pages can be write-protected only in a region whose modes include it",
                range: range)
        }
        guard let bytes = resolution.sourceBytes else { return range }
        guard bytes.byteCount >= range.byteCount else {
            throw PagerError(
                .badResolution,
                "a resolution of \(bytes.byteCount) bytes is too short for \(range.byteCount)",
                range: range)
        }
        let source = AddressRange(start: bytes.start, byteCount: range.byteCount)
        for (part, owner) in registered.index.parts(in: source) {
            // A buffer may have been given addresses of which nobody has heard yet that they were let go.
            guard owner.giveUp(part, isFresh: false) else {
                throw PagerError(
                    .sourceIsRegistered,
                    "the bytes to copy lie in a range registered on the same reactor; copy them from elsewhere",
                    range: registered.index.firstOverlap(part))
            }
        }
        return range
    }

    /// Hands `part` of a resolution that fills `whole` to the scheduler, or carries it out.
    private func enqueue(
        _ resolution: Resolution, covering whole: AddressRange, part: AddressRange, region: RegionState,
        failures: Int, cause: FaultCause
    ) {
        if region.findsZeroPages,
            enqueueZeroes(resolution, covering: whole, part: part, region, failures: failures, cause: cause)
        {
            return
        }
        guard region.paging != nil, cause.isWrite else {
            return enqueue(
                resolution, covering: whole, part: part, isProtected: region.paging != nil, region: region,
                failures: failures, demand: cause.demand)
        }
        // Pages that somebody waits to write to come writable; nobody is to write to the others without being noticed.
        forEachPart(of: region.pages(of: part), cause.demand) { pages, isDemand in
            enqueue(
                resolution, covering: whole, part: region.range(of: pages), isProtected: !isDemand,
                region: region, failures: failures, demand: cause.demand)
        }
    }

    /// The part of `pages` that lies before `demand`, in it, and behind it, as far as there are any.
    private func forEachPart(
        of pages: Range<Int>, _ demand: Range<Int>, _ body: (Range<Int>, _ isDemand: Bool) -> Void
    ) {
        let wanted = pages.clamped(to: demand)
        guard !wanted.isEmpty else { return body(pages, false) }
        if pages.lowerBound < wanted.lowerBound { body(pages.lowerBound..<wanted.lowerBound, false) }
        body(wanted, true)
        if wanted.upperBound < pages.upperBound { body(wanted.upperBound..<pages.upperBound, false) }
    }

    /// - Parameter isProtected: whether the pages are write-protected, whatever the handler said.
    func enqueue(
        _ resolution: Resolution, covering whole: AddressRange, part: AddressRange, isProtected: Bool = false,
        region: RegionState, failures: Int, demand: Range<Int>
    ) {
        let action: Scheduler<Tag>.Action
        switch resolution.action {
        case .copy(let base, _):
            let source = base + (part.start - whole.start)
            action =
                isProtected || resolution.isWriteProtected
                ? .copyProtected(source: source) : .copy(source: source)
        case .move(let source, _): action = .move(source: source + (part.start - whole.start))
        case .mapExisting: action = .mapExisting(isProtected: resolution.isWriteProtected)
        case .unprotect: action = .unprotect
        case .zero where !region.operations.contains(.zero):
            return copyZeroes(part, of: region, isProtected: isProtected, failures: failures, demand: demand)
        case .zero: action = .zero
        case .poison: action = .poison
        case .retry: return
        }
        guard isReading else {
            queue(
                action, part, of: region, owner: resolution.owner, failures: failures, demand: demand,
                isAhead: demand.isEmpty)
            return scheduleCommitOfAnswers()
        }
        let outcome = perform(action, part, of: region, wake: wakesAtOnce)
        guard case .whole = outcome else {
            return goOn(
                after: outcome, action, part, of: region, owner: resolution.owner, failures: failures,
                demand: demand)
        }
        install(part, of: region, action: action, existed: false, demand: demand)
        statistics.bytes += part.byteCount
        if !wakesAtOnce { wakeLater(part) }
    }

    /// Huge pages cannot be had as zero pages, nor protected ones: zeroes are copied to them.
    private func copyZeroes(
        _ range: AddressRange, of region: RegionState, isProtected: Bool, failures: Int, demand: Range<Int>
    ) {
        do {
            for piece in try zeroPieces(
                range, of: region, isProtected: isProtected, failures: failures, demand: demand)
            {
                scheduler.add(piece)
            }
            scheduleCommit()
        } catch {
            let cause = FaultCause(kind: .missing, isWrite: false, demand: demand)
            fail(region.pages(of: range), of: region, error: error, cause: cause, failures: failures + 1)
        }
    }

    /// What makes `range` zero, whatever the kernel offers for it.
    func zeroPieces(
        _ range: AddressRange, of region: RegionState, isProtected: Bool = false, failures: Int,
        demand: Range<Int>
    ) throws(SystemFailure) -> [Scheduler<Tag>.Piece] {
        let tag = Tag(region: region, owner: .none, failures: failures, demand: demand, giveUp: false)
        if region.operations.contains(.zero) {
            return [
                Scheduler.Piece(
                    range: range, action: .zero, pageSize: region.pageSize, isAhead: demand.isEmpty, tag: tag)
            ]
        }
        let zeroes = try zeroes(of: region)
        return region.pages(of: range).map { page in
            Scheduler.Piece(
                range: region.range(of: page..<page + 1),
                action: isProtected
                    ? .copyProtected(source: zeroes.address) : .copy(source: zeroes.address),
                pageSize: region.pageSize, isAhead: demand.isEmpty, tag: tag)
        }
    }

    private func queue(
        _ action: Scheduler<Tag>.Action, _ range: AddressRange, of region: RegionState,
        owner: Resolution.Owner, failures: Int, demand: Range<Int>, isAhead: Bool
    ) {
        hold(owner)
        scheduler.add(
            Scheduler.Piece(
                range: range, action: action, pageSize: region.pageSize, isAhead: isAhead,
                tag: Tag(region: region, owner: owner, failures: failures, demand: demand, giveUp: false)))
    }

    /// The kernel has not taken a piece whole: from here on it takes the ordinary road.
    func goOn(
        after outcome: Outcome, _ action: Scheduler<Tag>.Action, _ range: AddressRange,
        of region: RegionState,
        owner: Resolution.Owner, failures: Int, demand: Range<Int>
    ) {
        // A commit may leave something pending, say the poisoning of what it was refused: the answer that is at hand must
        // meet its own piece.
        while scheduler.hasAwaited { commitAwaited() }
        flushWakes()
        queue(action, range, of: region, owner: owner, failures: failures, demand: demand, isAhead: false)
        knownOutcome = (outcome, wakesAtOnce)
        commitAwaited()
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
