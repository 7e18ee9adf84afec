/// Pages that the clock has chosen to leave memory, as runs.
package struct Victims: Hashable, Sendable {
    /// They count as evicted: drop them.
    package var clean: [Range<Int>] = []
    /// They must be written to the store first; they will not be chosen again soon.
    package var dirty: [Range<Int>] = []
    package var count = 0

    package init() {}
}

extension Residency {
    /// Lets the hand go on from `page` until `wanted` pages are chosen in all, or the region ends. A page that was of use
    /// since the hand came by is spared this time. Returns where the hand stands; nil at the end of the region.
    ///
    /// - Parameters:
    ///   - page: where the hand stands.
    ///   - wanted: how many pages `victims` is to have.
    ///   - sparesDirty: whether dirty pages are passed over: they cannot be written at the moment.
    ///   - pinned: the pages of a group, counted from its first, that a request is about.
    ///   - victims: what was chosen is added to it.
    package mutating func sweep(
        from page: Int, wanted: Int, sparesDirty: Bool, pinned: (Int) -> UInt64, into victims: inout Victims
    ) -> Int? {
        var page = page
        while victims.count < wanted {
            guard let group = nextGroup(from: page >> 6) else { return nil }
            if group > page >> 6 { page = group << 6 }
            guard let next = sweep(group, from: page, wanted, sparesDirty, pinned(group), &victims) else {
                page = (group + 1) << 6
                continue
            }
            return next
        }
        return page
    }

    /// Passes over the pages of a group from `page` on. Returns where it broke off because enough pages were chosen.
    private mutating func sweep(
        _ group: Int, from page: Int, _ wanted: Int, _ sparesDirty: Bool, _ pinned: UInt64,
        _ victims: inout Victims
    ) -> Int? {
        var passed = ~UInt64(0) << UInt64(page & 63)
        let dirty = self[.dirty, group]
        var movable = self[.resident, group] & ~pinned & ~self[.writing, group] & ~self[.stuck, group]
        if sparesDirty { movable &= ~dirty }
        var chosen = movable & ~self[.referenced, group] & ~self[.spared, group] & passed
        var end: Int?
        if chosen.nonzeroBitCount > wanted - victims.count {
            chosen = chosen.lowest(wanted - victims.count)
            // Up to the last one chosen.
            let next = 64 - chosen.leadingZeroBitCount
            passed &= next == 64 ? ~0 : ~(~0 << UInt64(next))
            end = group << 6 + next
        }
        PageSet.append(chosen & ~dirty, group, to: &victims.clean)
        PageSet.append(chosen & dirty, group, to: &victims.dirty)
        victims.count += chosen.nonzeroBitCount
        // A chance is used up: first the second one, then the ordinary one.
        let spent = movable & passed
        let spared = self[.spared, group]
        self[.referenced, group] = self[.referenced, group] & ~(spent & ~spared) | chosen & dirty
        self[.spared, group] = spared & ~spent | chosen & dirty
        self[.ghost, group] &= ~passed
        evict(chosen & ~dirty, group)
        if self[.resident, group] | self[.ghost, group] == 0 { retireGroup(group) }
        return end
    }

    /// Of `pages`, which had been chosen and written since, those that are clean still: they count as evicted, and are to be
    /// dropped.
    package mutating func takeClean(_ pages: Range<Int>, pinned: (Int) -> UInt64) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        guard !pages.isEmpty else { return runs }
        for group in pages.lowerBound >> 6...(pages.upperBound - 1) >> 6 {
            let busy = self[.dirty, group] | self[.writing, group] | self[.stuck, group] | pinned(group)
            let clean = self[.resident, group] & ~busy & PageSet.mask(pages, group)
            PageSet.append(clean, group, to: &runs)
            evict(clean, group)
        }
        return runs
    }

    /// The pages of `pages` that can be written now, as runs.
    package func writable(_ pages: Range<Int>) -> [Range<Int>] {
        guard !pages.isEmpty else { return [] }
        var runs: [Range<Int>] = []
        for group in pages.lowerBound >> 6...(pages.upperBound - 1) >> 6 {
            PageSet.append(writableWord(group) & PageSet.mask(pages, group), group, to: &runs)
        }
        return runs
    }

    /// The run of pages that can be written now that `page`, one of them, is a part of; it reaches no further than `reach`
    /// pages to either side.
    package func writableRun(around page: Int, reach: Int) -> Range<Int> {
        let first = max(page - reach, 0)
        var start = page
        while start > first, writableWord((start - 1) >> 6) & (1 << UInt64((start - 1) & 63)) != 0 {
            start -= 1
        }
        let last = min(page + reach, pageCount)
        var end = page + 1
        while end < last, writableWord(end >> 6) & (1 << UInt64(end & 63)) != 0 { end += 1 }
        return start..<end
    }

    func writableWord(_ group: Int) -> UInt64 { self[.dirty, group] & ~self[.writing, group] }
}

extension UInt64 {
    /// The lowest `count` of the bits that are set.
    fileprivate func lowest(_ count: Int) -> UInt64 {
        var rest = self
        for _ in 0..<count { rest &= rest &- 1 }
        return self & ~rest
    }
}
