import EventReactor
import Userfault

// Pages leave memory, so that there is room for others.
extension PagerCore {
    /// Pages that leave in one go: one system call, which holds the loop for some ten microseconds.
    private static let step = 64

    /// Whether there is room for a request. If there is not, pages that are clean are dropped for it; if that is not enough,
    /// others are on their way to the store when this returns.
    func makeRoom(for count: Int, of paging: RegionPaging) -> Bool {
        guard let budget = paging.budget else { return true }
        return !budget.hasWaiters && makeRoom(for: count, in: budget)
    }

    private func makeRoom(for count: Int, in budget: BudgetState) -> Bool {
        while budget.used + count > budget.limit {
            let before = budget.used
            choose(max(budget.used + count - budget.limit, Self.step), in: budget, sparesDirty: true)
            if budget.used == before { break }
        }
        if budget.used + count <= budget.limit { return true }
        let missing = budget.used + count - budget.limit - budget.leaving
        if missing > 0 { choose(max(missing, Self.step), in: budget, sparesDirty: false) }
        return budget.used + count <= budget.limit
    }

    /// Has the budget brought below its low watermark, in turns of its own.
    func scheduleReclaim(_ budget: BudgetState) {
        guard !budget.isReclaimScheduled else { return }
        budget.isReclaimScheduled = true
        let box = LoopBound((self, budget), on: reactor)
        reactor.execute {
            let (core, budget) = box.value
            core.reclaim(budget)
        }
    }

    private func reclaim(_ budget: BudgetState) {
        budget.isReclaimScheduled = false
        guard lifecycle != .closed else { return }
        let wanted = budget.used - budget.leaving - budget.low
        if wanted > 0, budget.used > budget.low {
            let before = budget.used - budget.leaving
            choose(min(wanted, Self.step), in: budget, sparesDirty: false)
            // Nothing else can go at the moment: it is tried again when a write has ended, or more is wanted.
            let isStuck = budget.used - budget.leaving == before
            if !isStuck, budget.used - budget.leaving > budget.low { scheduleReclaim(budget) }
        }
        serveWaiters(of: budget)
    }

    /// Lets the clock choose pages: clean ones are dropped here and now, changed ones are on their way to the store.
    private func choose(_ count: Int, in budget: BudgetState, sparesDirty: Bool) {
        var changed: [RegionPaging] = []
        budget.clock.choose(count, of: budget.regions.count) { index, page, wanted in
            let paging = budget.regions[index]
            var victims = Victims()
            let next = paging.residency.sweep(
                from: page, wanted: wanted, sparesDirty: sparesDirty || paging.pause != nil,
                pinned: { paging.pinned($0) }, into: &victims)
            drop(victims.clean, of: paging)
            if !victims.dirty.isEmpty {
                paging.chosen += victims.dirty
                budget.leaving += victims.dirty.reduce(0) { $0 + $1.count }
                changed.append(paging)
            }
            return (victims.count, next)
        }
        for paging in changed { paging.pump() }
    }

    /// Drops pages that count as evicted already. Nobody can have written to them: they were clean, so they are protected,
    /// and only this thread lifts that. A thread that tries to just now waits, and is served when its message is read.
    func drop(_ runs: [Range<Int>], of paging: RegionPaging) {
        guard !runs.isEmpty, let kernel else { return }
        let region = paging.region
        let ranges = runs.map { region.range(of: $0) }
        var next = 0
        while next < ranges.count {
            statistics.discards += 1
            let done = kernel.discard(ranges[next...])
            for run in runs[next..<next + done] {
                region.table.forgetPresent(run)
                statistics.evictedPages += run.count
                paging.budget?.used -= run.count
            }
            next += done
            guard next < ranges.count else { return }
            refuseDrop(runs[next], of: paging)
            next += 1
        }
    }

    /// The kernel does not let go of pages. They stay, and the budget has to do without them.
    private func refuseDrop(_ run: Range<Int>, of paging: RegionPaging) {
        paging.residency.keep(run)
        paging.budget?.used -= run.count
        report(
            PagerError(
                .kernel, "the kernel does not drop these pages (MADV_DONTNEED); they stay in memory",
                range: paging.region.range(of: run)))
    }

    /// Asks for the pages of requests that waited for room, as far as there is some.
    func serveWaiters(of budget: BudgetState) {
        while lifecycle != .closed, let waiter = budget.nextWaiter, let paging = waiter.region.paging {
            let lacking = paging.lacking(waiter.pages)
            guard makeRoom(for: lacking, in: budget) else { return }
            budget.removeWaiter()
            paging.grant(lacking)
            ask(waiter.region, pages: waiter.pages, cause: waiter.cause, failures: 0)
            watch(budget)
        }
    }

    func watch(_ budget: BudgetState) {
        if budget.used > budget.high, budget.used - budget.leaving > budget.low { scheduleReclaim(budget) }
    }
}
