import EventReactor
import Userfault

// Faults on regions over a store.
extension PagerCore {
    /// Threads wait for missing pages: they are asked for if there is room, and with them those that are likely to be next.
    /// Without room they wait, in order.
    func askPaged(
        _ region: RegionState, _ paging: RegionPaging, cause: FaultCause, kernel: any FaultKernel
    ) {
        let demand = cause.demand
        let lacking = paging.lacking(demand)
        // Where nothing is lacking, nobody is kept waiting: it may be the thread that takes the page to the store.
        guard lacking == 0 || makeRoom(for: lacking, of: paging) else {
            begin(demand, of: region)
            paging.budget?.addWaiter(BudgetState.Waiter(region: region, pages: demand, cause: cause))
            statistics.budgetWaits += 1
            return
        }
        paging.grant(lacking)
        guard !region.watch.isIdle else {
            askFirst(region, pages: demand, cause: cause, kernel: kernel)
            return watchBudget(of: paging)
        }
        let room = paging.budget.map { $0.limit - $0.used } ?? Int.max
        let plan = region.changeWatch { $0.plan(demand, in: region.table, room: room) }
        paging.grant(plan.window.count - demand.count)
        askFirst(region, pages: plan.window, cause: cause, kernel: kernel)
        for page in plan.strides.map(Array.init) ?? [] {
            guard lifecycle == .serving, region.table.isMissing(page), paging.roomAhead(1) == 1 else { break }
            var cause = cause
            cause.demand = page..<page
            paging.grant(1)
            askFirst(region, pages: page..<page + 1, cause: cause, kernel: kernel)
        }
        watchBudget(of: paging)
    }

    private func watchBudget(of paging: RegionPaging) {
        if let budget = paging.budget { watch(budget) }
    }

    /// Threads want to write to protected pages: they may, and the pages are dirty from now on. A page may have left memory
    /// since its thread was stopped.
    func admitPagedWrite(
        _ fault: Fault, _ pages: Range<Int>, _ paging: RegionPaging, kernel: any FaultKernel
    ) {
        let region = paging.region
        var page = pages.lowerBound
        while page < pages.upperBound, lifecycle != .closed {
            let start = page
            if region.table.isInFlight(start) {
                statistics.joined += 1
                page += 1
            } else if region.table.isPresent(start) {
                while page < pages.upperBound, region.table.isPresent(page), !region.table.isInFlight(page) {
                    page += 1
                }
                letWrite(start..<page, paging, kernel)
            } else {
                while page < pages.upperBound, region.table.isMissing(page) { page += 1 }
                let cause = FaultCause(
                    kind: .missing, isWrite: true, threadID: fault.threadID, demand: start..<page)
                askPaged(region, paging, cause: cause, kernel: kernel)
            }
        }
    }

    private func letWrite(_ pages: Range<Int>, _ paging: RegionPaging, _ kernel: any FaultKernel) {
        let region = paging.region
        let range = region.range(of: pages)
        // Whatever comes of it: from here on somebody may have written.
        paging.residency.write(pages)
        statistics.unprotects += 1
        let outcome = kernel.unprotect(range, wake: wakesAtOnce)
        if case .whole = outcome {
            if !wakesAtOnce { wakeLater(range) }
            return
        }
        region.table.beginWrite(pages)
        statistics.inFlightPages += pages.count
        goOn(
            after: outcome, .unprotect, range, of: region, owner: .none, failures: 0,
            demand: pages)
    }

    /// A range of a region over a store has been installed, or was there already.
    func installedPaged(
        _ pages: Range<Int>, _ paging: RegionPaging, action: Scheduler<Tag>.Action, existed: Bool,
        demand: Range<Int>
    ) {
        switch action {
        case .copyProtected where !existed:
            paging.installed(pages, isDirty: false, demand: demand)
        case .copyProtected, .copy, .move, .mapExisting, .zero:
            // Nobody tells what happens to a page that is not protected.
            paging.installed(pages, isDirty: true, demand: demand)
        case .unprotect:
            paging.residency.write(pages)
        case .poison where existed:
            paging.installed(pages, isDirty: true, demand: demand)
        case .poison:
            paging.ended(pages)
        }
    }

    func tellWriteFailure(
        _ region: RegionState, _ range: AddressRange, _ error: any Error, _ failures: Int,
        after delay: Duration
    ) {
        configuration.onFailure?(
            FaultFailure(
                region: region.options.name, range: range, error: error, failures: failures,
                action: .retrying(after: delay)))
    }

    /// What was written to a region is not in its store, and will not get there.
    func reportLoss(_ ranges: [AddressRange], of region: RegionState) {
        statistics.failures += 1
        configuration.onFailure?(
            FaultFailure(
                region: region.options.name, range: region.range, error: PagerError.notWritten(ranges, nil),
                failures: 1, action: .dropped))
    }
}
