import EventReactor
import Userfault

// From an answer that was found to be right to what the kernel is told.
extension PagerCore {
    /// Hands `part` of a resolution that fills `whole` to the scheduler, or carries it out.
    func enqueue(
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
        if let filling = region.hugePages, let pieces = filling.grid.pieces(in: region.pages(of: part)),
            enqueueHugePages(
                pieces, resolution, covering: whole, part: part, isProtected: isProtected, region: region,
                failures: failures, demand: demand)
        {
            return
        }
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
        enqueue(action, part, of: region, owner: resolution.owner, failures: failures, demand: demand)
    }

    /// Carries out an action now, if faults are being read, or in this turn.
    func enqueue(
        _ action: Scheduler<Tag>.Action, _ part: AddressRange, of region: RegionState,
        owner: Resolution.Owner,
        failures: Int, demand: Range<Int>
    ) {
        guard isReading else {
            queue(
                action, part, of: region, owner: owner, failures: failures, demand: demand,
                isAhead: demand.isEmpty)
            return scheduleCommitOfAnswers()
        }
        let outcome = perform(action, part, of: region, wake: wakesAtOnce)
        guard case .whole = outcome else {
            return goOn(
                after: outcome, action, part, of: region, owner: owner, failures: failures, demand: demand)
        }
        install(part, of: region, action: action, existed: false, demand: demand)
        statistics.bytes += part.byteCount
        if !wakesAtOnce { wakeLater(part) }
    }

    /// Hands an action to the scheduler.
    func queue(
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
