/// A set of a region's pages, by words of 64. Stretches without any cost no memory.
package struct PageSet: ~Copyable {
    private let words: WordStorage
    let groupCount: Int
    package private(set) var count = 0

    init(pageCount: Int) {
        groupCount = (pageCount + 63) / 64
        words = WordStorage(count: groupCount)
    }

    package var isEmpty: Bool { count == 0 }

    func word(_ group: Int) -> UInt64 { words[group] }

    mutating func insert(_ mask: UInt64, _ group: Int) {
        let old = words[group]
        guard mask & ~old != 0 else { return }
        count += (mask & ~old).nonzeroBitCount
        words[group] = old | mask
    }

    mutating func formUnion(_ other: borrowing PageSet) {
        for group in 0..<other.groupCount { insert(other.word(group), group) }
    }

    mutating func remove(_ mask: UInt64, _ group: Int) {
        let old = words[group]
        guard mask & old != 0 else { return }
        count -= (mask & old).nonzeroBitCount
        words[group] = old & ~mask
    }

    mutating func remove(_ pages: Range<Int>) {
        guard !pages.isEmpty else { return }
        for group in pages.lowerBound >> 6...(pages.upperBound - 1) >> 6 {
            remove(Self.mask(pages, group), group)
        }
    }

    package func contains(_ page: Int) -> Bool { words[page >> 6] & (1 << UInt64(page & 63)) != 0 }

    /// The first page from `page` on; nil when there is none.
    func first(from page: Int) -> Int? {
        var group = page >> 6
        guard count > 0, group < groupCount else { return nil }
        var word = words[group] & ~0 << UInt64(page & 63)
        while word == 0 {
            group += 1
            guard group < groupCount else { return nil }
            word = words[group]
        }
        return group << 6 + word.trailingZeroBitCount
    }

    /// The pages as runs, in order.
    package var runs: [Range<Int>] {
        var runs: [Range<Int>] = []
        for group in 0..<groupCount { Self.append(words[group], group, to: &runs) }
        return runs
    }

    /// The bits of a group that stand for pages of `pages`.
    static func mask(_ pages: Range<Int>, _ group: Int) -> UInt64 {
        let start = max(pages.lowerBound - group << 6, 0)
        let end = min(pages.upperBound - group << 6, 64)
        guard start < end else { return 0 }
        return (~0 >> UInt64(64 - (end - start))) << UInt64(start)
    }

    /// Adds the pages of a group as runs, the first of which may go on where the last one ended.
    static func append(_ word: UInt64, _ group: Int, to runs: inout [Range<Int>]) {
        var word = word
        var base = group << 6
        while word != 0 {
            let skipped = word.trailingZeroBitCount
            word >>= UInt64(skipped)
            base += skipped
            let length = (~word).trailingZeroBitCount
            if let last = runs.last, last.upperBound == base {
                runs[runs.count - 1] = last.lowerBound..<base + length
            } else {
                runs.append(base..<base + length)
            }
            guard length < 64 else { return }
            word >>= UInt64(length)
            base += length
        }
    }
}
