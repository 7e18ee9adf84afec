import EventReactor
import Userfault

extension PagerCore: EndOfTurnWork {
    func endOfTurn() {
        isCommitScheduled = false
        if let gatherTimer {
            reactor.cancelTimer(gatherTimer)
            self.gatherTimer = nil
        }
        guard lifecycle != .closed else { return }
        commit()
        if lifecycle == .draining { closeIfDrained() }
        if hasHeldPrefetches { goOnWithPrefetches() }
    }

    /// Carries out what is pending: first what threads wait for, then some of what nobody does; the rest in the next turn, after the
    /// faults that have come by then.
    func commit() {
        defer { if !answeredPrefetches.isEmpty { resumePrefetches() } }
        guard scheduler.hasPending else { return flushWakes() }
        commitAwaited()
        guard scheduler.hasAhead, lifecycle != .closed else { return }
        carryOut(scheduler.beginCommit(ahead: PrefetchPace.usualChunk))
        if scheduler.hasAhead, lifecycle != .closed { scheduleCommit() }
    }

    /// Carries out what threads wait for.
    func commitAwaited() {
        guard scheduler.hasAwaited else { return flushWakes() }
        if knownOutcome == nil, let piece = scheduler.takeOnly(), carryOutAlone(piece) { return }
        carryOut(scheduler.beginCommit())
    }

    /// Carries out all that is pending, one piece, in the way that it takes nearly always: the kernel does the whole of it. False
    /// when it has not, and the piece is pending as before, with the kernel's answer.
    private func carryOutAlone(_ piece: Scheduler<Tag>.Piece) -> Bool {
        let region = piece.tag.region
        let pages = piece.range.byteCount / piece.pageSize
        let wakesAtOnce = configuration.wakePolicy.wakesAtOnce(pages: pages)
        isCommitting = true
        let outcome = perform(piece.action, piece.range, of: region, wake: wakesAtOnce)
        guard case .whole = outcome else {
            isCommitting = false
            scheduler.add(piece)
            knownOutcome = (outcome, wakesAtOnce)
            return false
        }
        statistics.commits += 1
        install(piece.range, of: region, action: piece.action, existed: false, demand: piece.tag.demand)
        letGo(piece.tag.owner, of: region)
        statistics.bytes += piece.range.byteCount
        if !wakesAtOnce { wakeLater(piece.range) }
        endCommit()
        return true
    }

    private func endCommit() {
        flushWakes()
        isCommitting = false
        if stopError != nil { return close() }
        if parked.isEmpty { parkedBackoff.reset() } else { parkRest() }
    }

    /// Carries out a batch: copies first, in ascending order, then the wakes.
    private func carryOut(_ pages: Int) {
        let wakesAtOnce = configuration.wakePolicy.wakesAtOnce(pages: pages)
        statistics.commits += 1
        isCommitting = true
        while let operation = scheduler.next() {
            let known = knownOutcome
            knownOutcome = nil
            var outcome =
                known?.outcome
                ?? perform(operation.action, operation.range, of: scheduler.region, wake: wakesAtOnce)
            if outcome == .gone(.range), isToBeHeardOf(operation.range) { outcome = .again }
            if case .partial = outcome { statistics.partials += 1 }
            guard let settlement = scheduler.record(outcome) else { continue }
            settle(settlement, isAwake: known?.isAwake ?? wakesAtOnce)
        }
        endCommit()
    }

    /// Whether `range`, which is not registered any more, may have gone without the message for it having come yet. The
    /// kernel looks for the range before it looks whether an event is under way.
    private func isToBeHeardOf(_ range: AddressRange) -> Bool {
        guard hearsOfUnmapping, let kernel else { return false }
        // In this order: the message is there before the kernel calls the address space quiet.
        return kernel.probe(range) != .absent || !kernel.isCaughtUp
    }

    /// The wakes that the copies before them held back.
    func flushWakes() {
        guard !wakes.isEmpty else { return }
        for index in 0..<wakes.count { wake(wakes[index]) }
        wakes.removeAll()
    }

    func perform(
        _ action: Scheduler<Tag>.Action, _ range: AddressRange, of region: RegionState, wake: Bool
    ) -> Outcome {
        guard let kernel else { return .gone(.range) }
        if region.needsCare { return performWithCare(action, range, of: region, wake: wake, kernel) }
        switch action {
        case .copy(let source):
            statistics.copies += 1
            return kernel.copy(from: source, to: range, wake: wake)
        case .copyProtected(let source):
            statistics.copies += 1
            return kernel.copy(from: source, to: range, wake: wake, protect: true)
        case .move(let source):
            statistics.moves += 1
            let outcome = kernel.move(from: source, to: range, wake: wake)
            if case .whole = outcome {
                if region.hugePages != nil { noteHugePages(in: range, of: region) }
                return outcome
            }
            return finishMove(from: source, to: range, of: region, wake: wake, outcome, kernel)
        case .mapExisting(let isProtected):
            statistics.continues += 1
            return kernel.mapExisting(range, wake: wake, protect: isProtected)
        case .unprotect:
            statistics.unprotects += 1
            return kernel.unprotect(range, wake: wake)
        case .zero:
            statistics.zeroPages += 1
            return kernel.zero(range, wake: wake)
        case .poison:
            statistics.poisons += 1
            return kernel.poison(range, wake: wake)
        }
    }

    /// Pages that cannot be moved: those of the buffer that were never written do not exist, and their places in the region read
    /// as zero; those that somebody else holds as well (a forked child, a device) are copied.
    @inline(never)
    private func finishMove(
        from source: UInt, to range: AddressRange, of region: RegionState, wake: Bool, _ outcome: Outcome,
        _ kernel: any FaultKernel
    ) -> Outcome {
        switch outcome {
        case .gone(.range):
            let count = min(RegionState.systemPageSize, range.byteCount)
            let page = AddressRange(start: range.start, byteCount: count)
            statistics.zeroPages += 1
            let outcome = kernel.zero(page, wake: wake)
            guard case .whole = outcome, page != range else { return outcome }
            return .partial(bytesDone: count)
        case .failed(let error) where error.errno == .busy || region.hugePages != nil:
            // Where nobody has asked for moving, nobody is to notice that it is not possible (locked memory, a file's).
            if error.errno != .busy { region.fillHugePagesNoMore() }
            statistics.copies += 1
            return kernel.copy(from: source, to: range, wake: wake)
        default:
            return outcome
        }
    }

    /// Parked pieces are retried by timer: no message tells when the address space is quiet again, and asking
    /// without pause would keep the loop from everything else.
    private func parkRest() {
        guard parkedTimer == nil, lifecycle != .closed else { return }
        parkedTimer = reactor.startTimer(after: parkedBackoff.next(), self)
    }

    func retryParked() {
        parkedTimer = nil
        for var piece in parked {
            // What has waited so long goes first.
            piece.isAhead = false
            scheduler.add(piece)
        }
        parked.removeAll(keepingCapacity: true)
        scheduleCommit()
    }
}

extension Scheduler.Piece {
    /// The part of this piece that fills `range`.
    func restricted(to range: AddressRange) -> Self {
        var piece = self
        piece.action = action.advanced(by: range.start - self.range.start)
        piece.range = range
        return piece
    }
}

extension Scheduler<PagerCore.Tag> {
    /// The region of the run under way: its pieces have the same.
    fileprivate var region: RegionState { self[runPieces.lowerBound].tag.region }
}
