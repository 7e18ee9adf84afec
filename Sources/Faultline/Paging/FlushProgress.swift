/// How far a flush has come: a pure state machine.
///
/// All that was dirty when it began is to be written by a write that began later; what was being written then is done when
/// that write is. Writes are numbered in the order of their beginning.
package struct FlushProgress: ~Copyable {
    /// Pages that are not in the store yet.
    private var needed: PageSet
    /// Those of them that need a write that begins after the flush.
    private var unwritten: PageSet
    private let lastWrite: Int
    /// Pages that were written, or had been before: what the store's own flush makes durable.
    package private(set) var failed: [Range<Int>] = []
    private var cursor = 0

    /// A flush of `residency`, whose last write so far has the number `lastWrite`.
    package init(_ residency: borrowing Residency, lastWrite: Int) {
        needed = PageSet(pageCount: residency.pageCount)
        unwritten = PageSet(pageCount: residency.pageCount)
        self.lastWrite = lastWrite
        guard residency.dirtyCount + residency.writingCount > 0 else { return }
        var group = 0
        while let next = residency.nextGroup(from: group) {
            needed.insert(residency[.dirty, next] | residency[.writing, next], next)
            unwritten.insert(residency[.dirty, next], next)
            group = next + 1
        }
    }

    package var isComplete: Bool { needed.isEmpty }
    /// What is not in the store yet.
    var unfinished: PageSet {
        var pages = PageSet(pageCount: needed.groupCount * 64)
        pages.formUnion(needed)
        return pages
    }

    /// The next pages to write, at most `limit`; nil when there are none at the moment.
    package mutating func next(_ residency: borrowing Residency, limit: Int) -> Range<Int>? {
        while let page = unwritten.first(from: cursor) {
            let bit = UInt64(1) << UInt64(page & 63)
            if residency.writableWord(page >> 6) & bit != 0 {
                var end = page + 1
                while end < page + limit, end < residency.pageCount, unwritten.contains(end),
                    residency.writableWord(end >> 6) & (1 << UInt64(end & 63)) != 0
                { end += 1 }
                cursor = end
                return page..<end
            }
            // Gone without our doing, with what was written to it: there is nothing to write.
            if !residency.isWriting(page) { remove(page..<page + 1) }
            cursor = page + 1
        }
        cursor = 0
        return nil
    }

    /// The write with this number, of `pages`, has ended.
    package mutating func ended(_ write: Int, _ pages: Range<Int>, succeeded: Bool) {
        if write > lastWrite {
            let overlaps = pages.contains { needed.contains($0) }
            if !succeeded, overlaps { failed.append(pages) }
            return remove(pages)
        }
        for page in pages where needed.contains(page) && !unwritten.contains(page) {
            if succeeded {
                remove(page..<page + 1)
            } else {
                // It was not ours, and is tried once more.
                unwritten.insert(1 << UInt64(page & 63), page >> 6)
            }
        }
    }

    private mutating func remove(_ pages: Range<Int>) {
        needed.remove(pages)
        unwritten.remove(pages)
    }
}
