import EventReactor
import Userfault

extension PagerCore: ReadinessHandler {
    func descriptorReady(_ readiness: Readiness) {
        guard let kernel, lifecycle == .serving || lifecycle == .draining && !events.isEmpty else { return }
        arrivals.removeAll()
        if !backlog.isEmpty {
            arrivals.append(contentsOf: backlog)
            backlog.removeAll(keepingCapacity: true)
        }
        readFaults(kernel)
        // Who causes an event waits until it is read, also now; who waits for a page is let go at the end.
        if lifecycle == .draining { return closeIfDrained() }
        if faultCounter.watchers != 0 { countArrivals() }
        isReading = true
        admitArrivals(kernel)
        isReading = false
        if !wakes.isEmpty || scheduler.hasPending { scheduleCommit() }
        if lifecycle == .draining { closeIfDrained() }
    }

    /// Reads what is there, control events first in effect. What arrives meanwhile waits for the next turn at the
    /// latest: sockets and timers have a right to theirs.
    private func readFaults(_ kernel: any FaultKernel) {
        for _ in 0..<configuration.readsPerTurn {
            let count: Int
            do {
                statistics.reads += 1
                count = try arrivals.read(from: kernel)
            } catch {
                return readingFailed(error)
            }
            statistics.messages += count
            if isShort { isShortNoMore() }
            var next = arrivals.takeFaults(from: 0, below: count)
            while next < count {
                apply(batch[next])
                next = arrivals.takeFaults(from: next + 1, below: count)
            }
            // A read that comes back with room to spare has emptied the queue; what comes after it is reported anew.
            if count < configuration.messagesPerRead || lifecycle == .closed { return }
        }
        readAgainSoon()
    }

    /// Reads what is there outside of the loop's turn, because a change of the address space stands in the way of something.
    /// It takes effect at once; faults wait for the next turn.
    func readEvents() {
        guard let kernel else { return }
        for _ in 0..<configuration.readsPerTurn {
            let count: Int
            do {
                statistics.reads += 1
                count = try arrivals.read(from: kernel)
            } catch {
                return readingFailed(error)
            }
            statistics.messages += count
            var next = batch.appendFaults(from: 0, below: count, to: &backlog)
            while next < count {
                apply(batch[next])
                next = batch.appendFaults(from: next + 1, below: count, to: &backlog)
            }
            if count < configuration.messagesPerRead {
                if !backlog.isEmpty { readAgainSoon() }
                return
            }
        }
        readAgainSoon()
    }

    /// Takes every event into account that is over for whoever caused it: he may have told others, who want something of the
    /// pager that comes after it.
    func catchUp() {
        guard !events.isEmpty, !isCommitting, !isPreparing else { return }
        for _ in 0..<200 {
            readEvents()
            guard let kernel, !kernel.isCaughtUp else { return }
            SystemPause.brief()
        }
    }

    /// More may be there than this turn had time for, and nobody will say so.
    private func readAgainSoon() {
        guard !isReadScheduled else { return }
        isReadScheduled = true
        let core = LoopBound(self, on: reactor)
        reactor.execute {
            core.value.isReadScheduled = false
            core.value.descriptorReady(.readable)
        }
    }

    @inline(never)
    private func isShortNoMore() {
        isShort = false
        readBackoff.reset()
    }

    private func readingFailed(_ error: UserfaultfdError) {
        let isPassing = [Errno.tooManyFiles, .tooManyFilesInSystem, .noMemory].contains(error.errno)
        guard isPassing, events.contains(.forkEvents) else { return stop(because: PagerError(error)) }
        // The forking thread waits until a descriptor is free; faults come before its message.
        if !isShort { report(PagerError(error)) }
        isShort = true
        probeChildren()
        if readTimer == nil { readTimer = reactor.startTimer(after: readBackoff.next(), self) }
    }

    func descriptorAbandoned() {
        close()
    }
}
