import EventReactor
import Userfault

extension RegionPaging {
    /// Begins writes to the store, as long as there is something to write and not too many are under way: what a flush waits
    /// for first, then what the clock has chosen.
    func pump() {
        while !isRetired, writes.count < WriteBack.width, let write = nextWrite() { start(write) }
        // Looking for something to write may have found that nothing is left.
        advanceFlushes()
    }

    /// Marks the pages of the next write as being written.
    private func nextWrite() -> WriteBack? {
        var runs: [Range<Int>] = []
        var count = 0
        // After a failure in smaller pieces, so that one bad spot does not hold up its neighbours for ever.
        let most = max(WriteBack.mostPages >> narrowing, 1)
        for flush in flushes {
            while count < most, let run = flush.progress.next(residency, limit: most - count) {
                residency.beginWriting(run)
                runs.append(run)
                count += run.count
            }
        }
        guard pause == nil else { return runs.isEmpty ? nil : WriteBack(runs: runs, chosen: []) }
        var taken: [Range<Int>] = []
        var used = 0
        while count < most, used < chosen.count {
            var run = chosen[used]
            if run.count > most - count {
                chosen[used] = run.lowerBound + most - count..<run.upperBound
                run = run.lowerBound..<run.lowerBound + most - count
            } else {
                used += 1
            }
            var isWritten = false
            for part in residency.writable(run) {
                let whole = narrowing == 0 ? widened(part) : part
                residency.beginWriting(whole)
                runs.append(whole)
                count += whole.count
                isWritten = true
            }
            // Nothing of it is left to write: it was, for a flush, or is being written just now.
            if isWritten { taken.append(run) } else { letGo(run) }
        }
        chosen.removeFirst(used)
        return runs.isEmpty ? nil : WriteBack(runs: runs, chosen: taken)
    }

    /// Changed pages next to `part` go along: one call of the store for all.
    private func widened(_ part: Range<Int>) -> Range<Int> {
        let first = residency.writableRun(around: part.lowerBound, reach: WriteBack.reach)
        let last = residency.writableRun(around: part.upperBound - 1, reach: WriteBack.reach)
        return first.lowerBound..<last.upperBound
    }

    /// Pages that the clock had chosen, and that need no write any more: those that are clean go.
    private func letGo(_ run: Range<Int>) {
        budget?.leaving -= run.count
        drop([run])
    }

    /// Protects the pages, and has a worker take them to the store.
    private func start(_ write: WriteBack) {
        lastWrite += 1
        let number = lastWrite
        writes[number] = write
        core.statistics.writeBacks += 1
        for run in write.runs {
            if let refusal = protect(region.range(of: run)) {
                return core.reactor.execute { [box = LoopBound(self, on: core.reactor)] in
                    box.value.ended(number, refusal)
                }
            }
        }
        let pieces = write.runs.compactMap { piece($0) }
        let work = WriteBackWork(store: store, pieces: pieces, pool: region.pool)
        let box = LoopBound(self, on: core.reactor)
        Task(executorPreference: writers) { [reactor = core.reactor] in
            do {
                try await work.run()
                reactor.execute { box.value.ended(number, nil) }
            } catch {
                reactor.execute { box.value.ended(number, error) }
            }
        }
    }

    private func protect(_ range: AddressRange) -> PagerError? {
        var outcome: Outcome?
        // The address space does not change for long.
        for _ in 0..<16 {
            core.statistics.protects += 1
            outcome = core.kernel?.protect(range)
            guard case .again = outcome else { break }
        }
        switch outcome {
        case .whole: return nil
        case .failed(let error): return PagerError(error)
        case nil: return .shutDown()
        case let outcome?:
            return PagerError(.kernel, "the pages could not be protected: \(outcome)", range: range)
        }
    }

    /// The bytes of a run; those behind the end of the store are nobody's.
    private func piece(_ run: Range<Int>) -> StoreWrite? {
        let start = run.lowerBound * region.pageSize
        let end = min(run.upperBound * region.pageSize, store.byteCount - baseOffset)
        return start < end ? StoreWrite(region.mapping, start..<end, to: baseOffset + start) : nil
    }

    /// A write has ended: nil is success.
    func ended(_ number: Int, _ error: (any Error)?) {
        guard !isRetired, let write = writes.removeValue(forKey: number) else { return }
        for run in write.runs {
            residency.endWriting(run, succeeded: error == nil)
            for flush in flushes { flush.progress.ended(number, run, succeeded: error == nil) }
            if error == nil { core.statistics.writtenBytes += run.count * region.pageSize }
        }
        budget?.leaving -= write.chosen.reduce(0) { $0 + $1.count }
        if let error { failed(write, error) } else { succeeded(write) }
        if let error { for flush in flushes where !flush.progress.failed.isEmpty { flush.error = error } }
        pump()
        if let budget {
            core.serveWaiters(of: budget)
            core.watch(budget)
        }
        if core.lifecycle == .draining { core.closeIfDrained() }
    }

    private func succeeded(_ write: WriteBack) {
        failures = 0
        narrowing = max(narrowing - 1, 0)
        backoff.reset()
        drop(write.chosen)
    }

    /// Drops what is clean of pages that the clock has chosen, as far as the budget still wants it.
    private func drop(_ chosen: [Range<Int>]) {
        guard let budget, budget.used > budget.low || budget.hasWaiters else { return }
        core.drop(chosen.flatMap { residency.takeClean($0, pinned: pinned) }, of: self)
    }

    private func failed(_ write: WriteBack, _ error: any Error) {
        failures += 1
        narrowing = min(narrowing + 1, WriteBack.mostPages.trailingZeroBitCount)
        core.statistics.failures += 1
        let delay = backoff.next()
        if pause == nil { pause = core.reactor.startTimer(after: delay, self) }
        let first = write.runs.first?.lowerBound ?? 0
        let end = write.runs.map(\.upperBound).max() ?? first
        let range = region.range(of: (write.runs.map(\.lowerBound).min() ?? first)..<end)
        core.tellWriteFailure(region, range, error, failures, after: delay)
    }
}

extension RegionPaging: TimerHandler {
    /// Writing has rested.
    func timerFired(_ id: TimerID) {
        guard id == pause, !isRetired else { return }
        pause = nil
        pump()
        if let budget { core.scheduleReclaim(budget) }
    }
}
