/// A budget in use by the regions of one pager: who has how much of it, and who waits for more. Loop's thread only.
final class BudgetState {
    /// A request that waits for room. Its pages are in flight, but have no share of the budget yet.
    struct Waiter {
        let region: RegionState
        let pages: Range<Int>
        let cause: FaultCause
    }

    let budget: MemoryBudget
    /// What may be used, and the watermarks, in pages.
    let limit: Int
    let high: Int
    let low: Int
    /// Pages in memory, and those that requests were granted.
    var used = 0
    /// Pages chosen to leave memory when they have been written.
    var leaving = 0
    var regions: [RegionPaging] = []
    var clock = EvictionClock()
    private var waiters: [Waiter] = []
    private var firstWaiter = 0
    var isReclaimScheduled = false

    init(_ budget: MemoryBudget, pageSize: Int) {
        self.budget = budget
        limit = budget.byteCount / pageSize
        high = budget.highWatermark / pageSize
        low = budget.lowWatermark / pageSize
    }

    /// Pages that a request may be for: no one is to take all of a small budget.
    var largestRequest: Int { max(limit / 8, 1) }

    var hasWaiters: Bool { firstWaiter < waiters.count }
    var nextWaiter: Waiter? { hasWaiters ? waiters[firstWaiter] : nil }

    func addWaiter(_ waiter: Waiter) { waiters.append(waiter) }

    func removeWaiter() {
        firstWaiter += 1
        guard firstWaiter == waiters.count else { return }
        waiters.removeAll(keepingCapacity: true)
        firstWaiter = 0
    }

    func remove(_ paging: RegionPaging) {
        waiters.removeFirst(firstWaiter)
        firstWaiter = 0
        waiters.removeAll { $0.region === paging.region }
        guard let index = regions.firstIndex(where: { $0 === paging }) else { return }
        regions.remove(at: index)
        clock.removeRegion(index)
    }
}
