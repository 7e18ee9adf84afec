import EventReactor
import Userfault

extension PagerCore: ReadinessHandler {
    func descriptorReady(_ readiness: Readiness) {
        guard lifecycle == .serving, let kernel else { return }
        isReading = true
        readFaults(kernel)
        isReading = false
        if scheduler.hasPending { commit() }
        if lifecycle == .draining { closeIfDrained() }
    }

    /// What arrives while we read waits for the next turn at the latest: sockets and timers have a right to theirs.
    private func readFaults(_ kernel: any FaultKernel) {
        for _ in 0..<configuration.readsPerTurn {
            let count: Int
            do {
                statistics.reads += 1
                count = try kernel.read(into: &batch)
            } catch {
                stop(because: PagerError(error))
                return
            }
            statistics.messages += count
            if count > 0 { ingest() }
            if count < configuration.messagesPerRead || lifecycle != .serving { return }
        }
    }

    func descriptorAbandoned() {
        close()
    }

    /// Control events first, then the faults by address.
    private func ingest() {
        arrivals.removeAll(keepingCapacity: true)
        for index in 0..<batch.count {
            switch batch[index] {
            case .fault(let fault): arrivals.append(fault)
            case let event: apply(event)
            }
        }
        if arrivals.count > 1 { arrivals.sortInPlace { $0.address < $1.address } }
        admit()
    }

    /// Groups faults on adjacent missing pages into requests; one request for a page however many threads wait.
    private func admit() {
        var index = 0
        while index < arrivals.count {
            let fault = arrivals[index]
            index += 1
            guard let region = region(at: fault.address) else {
                // Not ours any more: the thread will find out what is there now.
                statistics.strays += 1
                wakePage(at: fault.address, pageSize: SystemPage.size)
                continue
            }
            let first = region.page(of: fault.address)
            switch region.table.admit(first) {
            case .join:
                statistics.joined += 1
            case .wake:
                statistics.late += 1
                wakePage(at: fault.address, pageSize: region.pageSize)
            case .begin:
                var end = first + 1
                var isWrite = fault.isWrite
                while index < arrivals.count, end - first < region.options.maximumRequestPages {
                    let next = arrivals[index]
                    guard region.range.contains(next.address), next.kind == fault.kind else { break }
                    let page = region.page(of: next.address)
                    if page == end, region.table.isMissing(page) {
                        end += 1
                    } else if page == end - 1 {
                        statistics.joined += 1
                    } else {
                        break
                    }
                    isWrite = isWrite || next.isWrite
                    index += 1
                }
                begin(first..<end, of: region)
                let cause = FaultCause(kind: fault.kind, isWrite: isWrite, threadID: fault.threadID)
                ask(region, pages: first..<end, cause: cause, failures: 0)
                // Whoever answered may have stopped the pager.
                if lifecycle == .closed { return }
            }
        }
    }

    private func wakePage(at address: UInt, pageSize: Int) {
        let start = address & ~UInt(pageSize - 1)
        wake(AddressRange(start: start, byteCount: pageSize))
    }

    func wake(_ range: AddressRange) {
        guard let kernel else { return }
        statistics.wakes += 1
        do { try kernel.wake(range) } catch { report(PagerError(error)) }
    }
}
