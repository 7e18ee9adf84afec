import EventReactor
import Userfault

/// Asks the handler for the pages that were missing at a snapshot's instant, some at a time, and hands them to the copier as they
/// come, whoever asked for them. Loop's thread only.
final class SnapshotSupply: EndOfTurnWork {
    /// Pages asked for and not there yet, at most.
    private static let window = 1024

    private weak var snapshot: SnapshotCore?
    private let region: RegionState
    private let core: PagerCore
    /// Pages that the copier does not know of yet.
    private var awaited: PageBitmap
    /// Where to go on asking.
    private var next = 0
    private var asked: PageBitmap
    private(set) var suppliedPages = 0

    init(_ snapshot: SnapshotCore, present: [Range<Int>]) {
        self.snapshot = snapshot
        region = snapshot.watch.region
        core = snapshot.watch.core
        awaited = PageBitmap(pageCount: region.table.pageCount)
        asked = PageBitmap(pageCount: region.table.pageCount)
        awaited.insert(0..<awaited.pageCount)
        for run in present { awaited.remove(run) }
    }

    /// Asks for as many pages as there is room for.
    func goOn() {
        guard let kernel = core.kernel, core.lifecycle == .serving, snapshot?.isCopying == true else {
            return
        }
        var calls = 4
        while asked.population < Self.window, next < awaited.pageCount {
            guard let run = awaited.nextRun(true, from: next, below: awaited.pageCount) else {
                next = awaited.pageCount
                return
            }
            let limit = min(region.maximumRequestPages, Self.window - asked.population)
            guard let missing = region.table.nextMissingRun(in: run)?.prefix(limit) else {
                // Somebody waits for these already.
                next = run.upperBound
                continue
            }
            next = missing.upperBound
            asked.insert(missing)
            // They are wanted: a failure to supply them counts.
            let cause = FaultCause(kind: .missing, isWrite: false, demand: missing)
            core.askFirst(region, pages: missing, cause: cause, kernel: kernel)
            calls -= 1
            if calls == 0 { return goOnLater() }
        }
    }

    func endOfTurn() { goOn() }

    func installed(_ pages: Range<Int>) {
        let before = asked.population
        asked.remove(pages)
        suppliedPages += before - asked.population
        var new: [Range<Int>] = []
        var page = pages.lowerBound
        while let run = awaited.nextRun(true, from: page, below: pages.upperBound) {
            new.append(run)
            page = run.upperBound
        }
        for run in new { awaited.remove(run) }
        if !new.isEmpty { snapshot?.board.add(new) }
        if next < awaited.pageCount { goOnLater() }
    }

    /// Somebody had asked for these pages and gives them up. The snapshot does not: it asks for them itself.
    func abandoned(_ pages: Range<Int>) {
        asked.remove(pages)
        next = min(next, pages.lowerBound)
        goOnLater()
    }

    /// After faults have been read: jobs run in the same turn.
    private func goOnLater() { core.reactor.scheduleEndOfTurn(self) }
}
