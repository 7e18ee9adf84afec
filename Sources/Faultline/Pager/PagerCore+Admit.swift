import EventReactor
import Userfault

extension PagerCore {
    func admitArrivals(_ kernel: any FaultKernel) {
        let count = arrivals.count
        let answered = statistics.synchronousAnswers
        if count > 1, sortPace.sortsNext() { arrivals.sort() }
        wakesAtOnce = configuration.wakePolicy.wakesAtOnce(pages: count)
        var next = 0
        // Whoever answers may stop the pager, which lets go of all threads, those of the rest as well.
        while next < count, lifecycle != .closed {
            guard let region = region(at: arrivals[next].address) else {
                next += 1
                admitStray(arrivals[next - 1])
                continue
            }
            // Kept as long as it is the right one: finding and retaining it again is felt by every fault.
            repeat {
                next += 1
                admit(arrivals[next - 1], to: region, next: &next, kernel)
            } while next < count && lifecycle != .closed && lastRegion === region
                && lastPiece.contains(arrivals[next].address)
        }
        if count > 1 { sortPace.admitted(isRandom: statistics.synchronousAnswers - answered == count) }
    }

    /// Finds out what to do about a fault. If its page is to be supplied, the faults on neighbouring missing pages that
    /// follow it in `arrivals`, from `next` on, join its request; one request for a page however many threads wait.
    private func admit(
        _ fault: Fault, to region: RegionState, next: inout Int, _ kernel: any FaultKernel
    ) {
        let first = region.page(of: fault.address)
        if region.table.isAltered, region.table.fate(first) == .zero, fault.kind == .missing {
            return admitRemoved(fault, first, of: region, next: &next)
        }
        if fault.kind == .writeProtect {
            return admitWrite(fault, to: first, of: region, next: &next, kernel)
        }
        var admission = region.table.admit(first)
        if admission == .wake,
            fault.kind == .minor || !suspects.insert(fault.address & ~UInt(region.pageSize - 1))
        {
            region.table.forgetPresent(first..<first + 1)
            admission = .begin
        }
        switch admission {
        case .join:
            statistics.joined += 1
        case .wake:
            statistics.late += 1
            wakePage(at: fault.address, pageSize: region.pageSize)
        case .begin:
            var isWrite = fault.isWrite
            let end = run(from: first, kind: fault.kind, of: region, isWrite: &isWrite, next: &next) {
                region.table.mayBeAsked($0)
            }
            let cause = FaultCause(
                kind: fault.kind, isWrite: isWrite, threadID: fault.threadID, demand: first..<end)
            if region.isWatched { return askAhead(region, cause: cause, kernel: kernel) }
            askFirst(region, pages: first..<end, cause: cause, kernel: kernel)
        }
    }

    /// A write to a protected page that is there.
    private func admitWrite(
        _ fault: Fault, to first: Int, of region: RegionState, next: inout Int, _ kernel: any FaultKernel
    ) {
        var isWrite = true
        if region.needsCare, region.writeWatch != nil || region.paging != nil {
            let end = run(from: first, kind: .writeProtect, of: region, isWrite: &isWrite, next: &next) { _ in
                true
            }
            if let paging = region.paging {
                return admitPagedWrite(fault, first..<end, paging, kernel: kernel)
            }
            statistics.watchedWrites += end - first
            region.writeWatch?.admit(first..<end)
            return
        }
        guard region.table.admitWrite(first) == .begin else {
            statistics.joined += 1
            return
        }
        let end = run(from: first, kind: .writeProtect, of: region, isWrite: &isWrite, next: &next) {
            region.table.admitWrite($0) == .begin
        }
        region.table.beginWrite(first..<end)
        statistics.inFlightPages += end - first
        let cause = FaultCause(
            kind: .writeProtect, isWrite: true, threadID: fault.threadID, demand: first..<end)
        ask(region, pages: first..<end, cause: cause, failures: 0)
    }

    func begin(_ pages: Range<Int>, of region: RegionState) {
        region.table.begin(pages)
        statistics.inFlightPages += pages.count
    }

    /// How far the request for the page `first` reaches: over the faults of the same kind that follow in `arrivals`, from
    /// `next` on, on the same page or on neighbours that `mayJoin`.
    @inline(__always)
    func run(
        from first: Int, kind: Fault.Kind, of region: RegionState, isWrite: inout Bool, next: inout Int,
        mayJoin: (Int) -> Bool
    ) -> Int {
        var end = first + 1
        while next < arrivals.count, end - first < region.maximumRequestPages {
            let follower = arrivals[next]
            guard lastPiece.contains(follower.address), follower.kind == kind else { break }
            let page = region.page(of: follower.address)
            if page == end, mayJoin(page) {
                end += 1
            } else if page == end - 1 {
                statistics.joined += 1
            } else {
                break
            }
            isWrite = isWrite || follower.isWrite
            next += 1
        }
        return end
    }

    func wakePage(at address: UInt, pageSize: Int) {
        let start = address & ~UInt(pageSize - 1)
        wake(AddressRange(start: start, byteCount: pageSize))
    }

    func wake(_ range: AddressRange) {
        guard let kernel else { return }
        statistics.wakes += 1
        do { try kernel.wake(range) } catch { report(PagerError(error)) }
    }
}
