import EventReactor
import Userfault

// After the instant: writers are held, and let go.
extension SnapshotCore {
    /// A write to `pages` was let through.
    func wrote(_ pages: Range<Int>) {
        if phase == .protecting { written.insert(pages) }
    }

    /// Whether a thread that wants to write to the page has to wait; it is copied before all others then.
    func hold(_ page: Int) -> Bool {
        guard remaining.contains(page) else { return false }
        guard held[page] == nil else { return true }
        held[page] = .now
        board.addUrgent(page)
        return true
    }

    /// Pages came into the region, or were given up.
    func installed(_ pages: Range<Int>) {
        guard phase == .copying else { return }
        supply?.installed(pages)
        // Protected as they came, though nobody will copy them any more.
        for page in pages where !remaining.contains(page) { watch.leftovers.insert(page..<page + 1) }
    }

    /// `runs` have been copied: they may be written.
    func copied(_ runs: [Range<Int>]) {
        guard phase == .copying else { return }
        let now = ContinuousClock.now
        for run in runs {
            remaining.remove(run)
            let writers = heldPages(in: run)
            for page in writers {
                if let since = held.removeValue(forKey: page) {
                    report.longestHold = max(report.longestHold, since.duration(to: now))
                    report.pagesCopiedBeforeWrite += 1
                }
            }
            if watch.tracking == nil {
                watch.letWrite(run)
            } else {
                // To the tracker a page is clean until somebody writes.
                for page in writers { watch.letWrite(page..<page + 1) }
            }
        }
        if remaining.population == 0 { endIfWhole() }
    }

    /// Ends with success, if nothing has happened to the memory meanwhile of which the loop does not know yet.
    func endIfWhole() {
        watch.core.catchUp()
        if phase == .copying { end() }
    }

    private func heldPages(in run: Range<Int>) -> [Int] {
        if held.isEmpty { return [] }
        return held.count < run.count
            ? held.keys.filter { run.contains($0) } : run.filter { held[$0] != nil }
    }
}
