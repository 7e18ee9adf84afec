// What changes of the address space do to pages. The bitmaps are made at the first change.
extension FaultTable {
    /// What an answer means for a page when it is installed. Decided then and not when it was asked for: messages of
    /// different threads have no common order, and faults are read before events that happened earlier.
    package enum Fate: Hashable, Sendable {
        /// What the handler gives.
        case asAnswered
        /// The page's contents were dropped since: it is zero, whatever the answer.
        case zero
        /// The page is no longer the region's; its address may be somebody else's.
        case gone
    }

    package func fate(_ page: Int) -> Fate {
        if let gone, gone.contains(page) { return .gone }
        if let removed, removed.contains(page) { return .zero }
        return .asAnswered
    }

    /// The longest runs of `pages` that share their fate, in order.
    package func fates(of pages: Range<Int>) -> [(pages: Range<Int>, fate: Fate)] {
        guard isAltered else { return [(pages, .asAnswered)] }
        var runs: [(pages: Range<Int>, fate: Fate)] = []
        var start = pages.lowerBound
        while start < pages.upperBound {
            var end = pages.upperBound
            for bitmap in [gone, removed] {
                guard let bitmap else { continue }
                end = bitmap.first(!bitmap.contains(start), from: start, below: end) ?? end
            }
            runs.append((start..<end, fate(start)))
            start = end
        }
        return runs
    }

    /// Whether something has become of any of `pages`.
    package func hasAltered(_ pages: Range<Int>) -> Bool {
        guard isAltered else { return false }
        for bitmap in [gone, removed] {
            if bitmap?.first(true, from: pages.lowerBound, below: pages.upperBound) != nil { return true }
        }
        return false
    }

    /// The contents of `pages` are dropped: those that were there are missing, all of them zero from now on. Those in
    /// flight stay in flight.
    package mutating func remove(_ pages: Range<Int>) {
        forgetPresent(pages)
        var bitmap = removed ?? PageBitmap(pageCount: pageCount)
        bitmap.insert(pages)
        removed = bitmap
        isAltered = true
    }

    /// `pages` are no longer the region's. Returns how many of them were in flight.
    package mutating func lose(_ pages: Range<Int>) -> Int {
        var bitmap = gone ?? PageBitmap(pageCount: pageCount)
        bitmap.insert(pages)
        gone = bitmap
        isAltered = true
        return clear(pages)
    }

    /// The next run of pages that nobody has supplied and that are not zero either: what must not be shown to anyone.
    package func nextUnsuppliedRun(from page: Int, below limit: Int) -> Range<Int>? {
        var page = page
        while page < limit, let run = nextAbsentRun(from: page), run.lowerBound < limit {
            let part = run.clamped(to: page..<limit)
            guard isAltered else { return part }
            if let first = fates(of: part).first(where: { $0.fate == .asAnswered }) { return first.pages }
            page = part.upperBound
        }
        return nil
    }

    package var removedCount: Int { removed?.population ?? 0 }
    package var goneCount: Int { gone?.population ?? 0 }

    /// What is known of `pages`, which have moved or were copied to another process, as a table of their own. Nothing is
    /// in flight in it.
    package func copied(_ pages: Range<Int>) -> FaultTable {
        var copy = FaultTable(pageCount: pages.count)
        copy.copyPresent(pages, of: self)
        if let removed, removed.first(true, from: pages.lowerBound, below: pages.upperBound) != nil {
            var bitmap = PageBitmap(pageCount: pages.count)
            bitmap.insert(pages, of: removed)
            copy.removed = bitmap
            copy.isAltered = true
        }
        return copy
    }
}
