/// What is known of the pages of a region over a store: which are in memory, which differ from the store, which are on
/// their way there, and which have been of use lately. A pure state machine.
///
/// The rules that keep bytes from being lost are its preconditions: a page is evicted only while it is clean and not being
/// written, and a page that is written back is dirty again if anything went wrong or somebody wrote to it meanwhile.
/// Eight bits a page, those of 64 pages in one line of the processor's cache.
package struct Residency: ~Copyable {
    enum Plane: Int {
        /// In memory.
        case resident
        /// Differs from the store, or may.
        case dirty
        /// Being written to the store. What is written to the page meanwhile makes it dirty.
        case writing
        /// Of use since the clock's hand came by.
        case referenced
        /// Will be spared one time more: filled ahead of a reader, or needed again soon after it was evicted.
        case spared
        /// Evicted since the hand came by.
        case ghost
        /// The kernel refuses to let go of it.
        case stuck
        /// Written to the store, which has not been flushed since.
        case unflushed
    }

    private static let planes = 8
    private let words: WordStorage
    /// One bit for each 64 pages that hold anything for the hand to look at.
    private let groups: WordStorage
    /// One bit for each 64 pages of which some are unflushed.
    private let unflushedGroups: WordStorage
    package let pageCount: Int
    package private(set) var residentCount = 0
    package private(set) var dirtyCount = 0
    package private(set) var writingCount = 0
    /// Pages of which the kernel does not let go.
    package private(set) var stuckCount = 0
    /// Pages that came back soon after they were evicted.
    package private(set) var refaults = 0

    package init(pageCount: Int) {
        self.pageCount = pageCount
        let count = (pageCount + 63) / 64
        words = WordStorage(count: count * Self.planes)
        groups = WordStorage(count: (count + 63) / 64)
        unflushedGroups = WordStorage(count: groups.count)
    }

    package func isResident(_ page: Int) -> Bool { has(.resident, page) }
    package func isDirty(_ page: Int) -> Bool { has(.dirty, page) }
    package func isWriting(_ page: Int) -> Bool { has(.writing, page) }
    package func isUnflushed(_ page: Int) -> Bool { has(.unflushed, page) }

    package func residentCount(of pages: Range<Int>) -> Int {
        guard !pages.isEmpty else { return 0 }
        return (pages.lowerBound >> 6...(pages.upperBound - 1) >> 6).reduce(0) { count, group in
            count + (self[.resident, group] & PageSet.mask(pages, group)).nonzeroBitCount
        }
    }

    /// `pages` have been installed. Writable ones are dirty from the start: nobody will tell of the first write. So are those
    /// that are on their way to the store, since the program dropped them meanwhile: they were read from amid that write.
    package mutating func install(_ pages: Range<Int>, isDirty: Bool, isAhead: Bool) {
        forEachGroup(of: pages) { residency, group, mask in
            let known = residency[.resident, group]
            let ghosts = residency[.ghost, group] & mask
            residency.residentCount += (mask & ~known).nonzeroBitCount
            residency.refaults += ghosts.nonzeroBitCount
            residency[.resident, group] = known | mask
            residency[.referenced, group] |= mask
            residency[.spared, group] |= isAhead ? mask : ghosts
            residency[.ghost, group] &= ~mask
            residency.setDirty(isDirty ? mask : mask & residency[.writing, group], among: mask, group)
            residency.groups[group >> 6] |= 1 << UInt64(group & 63)
        }
    }

    /// Somebody writes to `pages`.
    package mutating func write(_ pages: Range<Int>) {
        forEachGroup(of: pages) { residency, group, mask in
            let written = mask & residency[.resident, group]
            residency[.referenced, group] |= written
            residency.setDirty(written, among: written, group)
        }
    }

    /// `pages`, all dirty and protected by now, are about to be written to the store.
    package mutating func beginWriting(_ pages: Range<Int>) {
        forEachGroup(of: pages) { residency, group, mask in
            precondition(residency[.dirty, group] & ~residency[.writing, group] & mask == mask)
            residency[.writing, group] |= mask
            residency.writingCount += mask.nonzeroBitCount
            residency.setDirty(0, among: mask, group)
        }
    }

    /// The store has them, or not.
    package mutating func endWriting(_ pages: Range<Int>, succeeded: Bool) {
        forEachGroup(of: pages) { residency, group, mask in
            precondition(residency[.writing, group] & mask == mask)
            residency[.writing, group] &= ~mask
            residency.writingCount -= mask.nonzeroBitCount
            let kept = mask & residency[.resident, group]
            if succeeded {
                residency[.unflushed, group] |= mask
                residency.unflushedGroups[group >> 6] |= 1 << UInt64(group & 63)
            } else {
                residency.setDirty(kept, among: kept, group)
            }
        }
    }

    /// The kernel has refused to drop `pages`, which had been chosen: they stay, and are not chosen again.
    package mutating func keep(_ pages: Range<Int>) {
        forEachGroup(of: pages) { residency, group, mask in
            residency.residentCount += (mask & ~residency[.resident, group]).nonzeroBitCount
            residency[.resident, group] |= mask
            residency.stuckCount += (mask & ~residency[.stuck, group]).nonzeroBitCount
            residency[.stuck, group] |= mask
            residency[.ghost, group] &= ~mask
        }
    }

    /// `pages` have gone without our doing, with what had been written to them.
    package mutating func forget(_ pages: Range<Int>) {
        forEachGroup(of: pages) { residency, group, mask in
            residency.remove(mask & residency[.resident, group], group)
        }
    }

    /// The pages that were written since the store was flushed last, those that have left memory included. The store is about
    /// to be flushed: what is written from now on counts for the next time.
    package mutating func takeUnflushed() -> PageSet {
        var pages = PageSet(pageCount: pageCount)
        forEachUnflushedGroup { group in
            pages.insert(self[.unflushed, group], group)
            self[.unflushed, group] = 0
            unflushedGroups[group >> 6] &= ~(1 << UInt64(group & 63))
        }
        return pages
    }

    /// The pages that are not in the store yet, and those that were written since it was flushed last.
    package var pagesNotDurable: PageSet {
        var pages = PageSet(pageCount: pageCount)
        forEachUnflushedGroup { pages.insert(self[.unflushed, $0], $0) }
        var group = 0
        while let next = nextGroup(from: group) {
            pages.insert(self[.dirty, next] | self[.writing, next], next)
            group = next + 1
        }
        return pages
    }

    private func forEachUnflushedGroup(_ body: (Int) -> Void) {
        for index in 0..<unflushedGroups.count where unflushedGroups[index] != 0 {
            var word = unflushedGroups[index]
            while word != 0 {
                body(index << 6 + word.trailingZeroBitCount)
                word &= word &- 1
            }
        }
    }

    /// The store could not be flushed. It may have lost `pages`, and will not tell again: those that still are in memory are to
    /// be written anew.
    package mutating func flushFailed(_ pages: borrowing PageSet) {
        for group in 0..<pages.groupCount where pages.word(group) != 0 {
            let kept = pages.word(group) & self[.resident, group]
            setDirty(kept, among: kept, group)
        }
    }

    /// Pages that are clean and not being written leave memory.
    mutating func evict(_ mask: UInt64, _ group: Int) {
        precondition(self[.resident, group] & mask == mask)
        precondition((self[.dirty, group] | self[.writing, group]) & mask == 0)
        remove(mask, group)
        self[.ghost, group] |= mask
    }

    private mutating func remove(_ mask: UInt64, _ group: Int) {
        residentCount -= mask.nonzeroBitCount
        self[.resident, group] &= ~mask
        self[.referenced, group] &= ~mask
        self[.spared, group] &= ~mask
        stuckCount -= (mask & self[.stuck, group]).nonzeroBitCount
        self[.stuck, group] &= ~mask
        setDirty(0, among: mask, group)
    }

    private mutating func setDirty(_ dirty: UInt64, among mask: UInt64, _ group: Int) {
        let old = self[.dirty, group]
        let new = old & ~mask | dirty
        dirtyCount += new.nonzeroBitCount - old.nonzeroBitCount
        if new != old { self[.dirty, group] = new }
    }
}

// Words of 64 pages.
extension Residency {
    var groupCount: Int { (pageCount + 63) / 64 }

    subscript(plane: Plane, group: Int) -> UInt64 {
        get { words[group * Self.planes + plane.rawValue] }
        nonmutating set { words[group * Self.planes + plane.rawValue] = newValue }
    }

    private func has(_ plane: Plane, _ page: Int) -> Bool {
        self[plane, page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    private mutating func forEachGroup(
        of pages: Range<Int>, _ body: (inout Residency, Int, UInt64) -> Void
    ) {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        guard !pages.isEmpty else { return }
        for group in pages.lowerBound >> 6...(pages.upperBound - 1) >> 6 {
            body(&self, group, PageSet.mask(pages, group))
        }
    }

    /// The first group from `group` on that holds anything for the hand to look at.
    func nextGroup(from group: Int) -> Int? {
        guard group < groupCount else { return nil }
        var index = group >> 6
        var word = groups[index] & ~0 << UInt64(group & 63)
        while word == 0 {
            index += 1
            guard index < groups.count else { return nil }
            word = groups[index]
        }
        return index << 6 + word.trailingZeroBitCount
    }

    /// Nothing is left of a group for the hand to look at.
    func retireGroup(_ group: Int) { groups[group >> 6] &= ~(1 << UInt64(group & 63)) }
}
