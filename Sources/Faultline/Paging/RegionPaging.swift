import EventReactor
import Userfault

/// What makes a region one over a store: which of its pages are in memory and which differ from the store, and how they get
/// there. Loop's thread only.
///
/// Everything rests on one rule. A clean page is write-protected, and only the loop lifts that: what is clean stays clean
/// until the loop has noted otherwise. So a clean page can be dropped without asking anybody, and a page that was protected
/// before its bytes were taken to the store differs from it only if it is dirty again.
final class RegionPaging {
    unowned let core: PagerCore
    unowned let region: RegionState
    let store: any PageStore
    /// What regions over the same store have in common; nil where that cannot be told.
    let storeIdentity: ObjectIdentifier?
    /// Where in the store the region begins, in bytes.
    let baseOffset: Int
    let budget: BudgetState?
    /// The threads that take pages to the store.
    let writers: WorkerPool
    var residency: Residency
    /// Pages that requests were granted, and that are not in memory yet.
    private(set) var granted = 0
    /// Writes to the store under way, by their numbers.
    var writes: [Int: WriteBack] = [:]
    var lastWrite = 0
    /// Pages that the clock has chosen, in order, to be written and dropped.
    var chosen: [Range<Int>] = []
    var flushes: [RegionFlush] = []
    /// Set while the store is flushed: what that makes durable.
    var unsynchronized: WrittenPages?
    /// Why the store may have lost what is being made durable, although that will not say so.
    var foreignError: (any Error)?
    /// How often writing has failed in a row.
    var failures = 0
    /// How often the most pages of a write are halved.
    var narrowing = 0
    /// Runs while writing rests after a failure.
    var pause: TimerID?
    var backoff = Backoff(first: .milliseconds(10), limit: .seconds(2))
    var isRetired = false

    init<Store: PageStore>(
        _ region: RegionState, _ core: PagerCore, store: Store, budget: BudgetState?, writers: WorkerPool
    ) {
        self.core = core
        self.region = region
        self.store = store
        storeIdentity = Store.self is AnyClass ? ObjectIdentifier(store as AnyObject) : nil
        baseOffset = region.baseOffset
        self.budget = budget
        self.writers = writers
        residency = Residency(pageCount: region.table.pageCount)
    }

    /// Pages in memory that count against the budget: all but those of which the kernel does not let go.
    private var counted: Int { residency.residentCount - residency.stuckCount }

    /// Whether anything is not in the store yet.
    var hasUnwritten: Bool { residency.dirtyCount + residency.writingCount > 0 }

    /// Pages of a group that a request is about, or a write to a protected page that is being let through.
    func pinned(_ group: Int) -> UInt64 { region.table.inFlightWord(group) }

    /// A request is about to be made for so many pages, for which there is room.
    func grant(_ count: Int) {
        granted += count
        budget?.used += count
    }

    /// How many of `pages` have no share of the budget yet. A page that has one is asked for when it seems to have gone without
    /// our doing: it is what it was until that is known.
    func lacking(_ pages: Range<Int>) -> Int { pages.count - residency.residentCount(of: pages) }

    /// How many of `count` pages that nobody waits for may be asked for without pushing out others.
    func roomAhead(_ count: Int) -> Int {
        guard let budget else { return count }
        return budget.hasWaiters ? 0 : max(min(count, budget.high - budget.used), 0)
    }

    /// Pages came: copied, or found there.
    func installed(_ pages: Range<Int>, isDirty: Bool, demand: Range<Int>) {
        let before = counted
        let wanted = pages.clamped(to: demand)
        if wanted.isEmpty {
            residency.install(pages, isDirty: isDirty, isAhead: true)
        } else {
            residency.install(pages.lowerBound..<wanted.lowerBound, isDirty: isDirty, isAhead: true)
            residency.install(wanted, isDirty: isDirty, isAhead: false)
            residency.install(wanted.upperBound..<pages.upperBound, isDirty: isDirty, isAhead: true)
        }
        granted -= counted - before
        released()
    }

    /// A page is not pinned any more: it may be the one that somebody waits for to go.
    func released() {
        if let budget, budget.hasWaiters { core.scheduleReclaim(budget) }
    }

    /// Pages in flight will not come, or hold no memory: they failed, are poisoned, or their range has gone.
    func ended(_ pages: Range<Int>) {
        let before = counted
        residency.forget(pages)
        let gone = before - counted
        granted -= pages.count - gone
        giveBack(pages.count)
    }

    private func giveBack(_ count: Int) {
        guard let budget, count > 0 else { return }
        budget.used -= count
        released()
    }

    /// The region goes out of service. What is not in the store by now will not get there.
    func retire() {
        isRetired = true
        if let pause { core.reactor.cancelTimer(pause) }
        pause = nil
        let lost = unwritten
        if !lost.isEmpty { core.reportLoss(lost, of: region) }
        for flush in flushes { flush.end(.failure(lost.isEmpty ? .shutDown() : .notWritten(lost, nil))) }
        flushes = []
        guard let budget else { return }
        budget.used -= counted + granted
        budget.leaving -= leavingCount
        budget.remove(self)
        if budget.hasWaiters { core.scheduleReclaim(budget) }
    }

    private var leavingCount: Int {
        writes.values.reduce(chosen.reduce(0) { $0 + $1.count }) { sum, write in
            write.chosen.reduce(sum) { $0 + $1.count }
        }
    }

    /// What is not in the store yet, or may not be durable there, as addresses.
    var unwritten: [AddressRange] {
        var pages = residency.pagesNotDurable
        if let unsynchronized { pages.formUnion(unsynchronized.pages) }
        return pages.runs.map { region.range(of: $0) }
    }
}
