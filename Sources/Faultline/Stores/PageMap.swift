/// Which pages of a store something is true for: a bit for each.
struct PageMap: Sendable {
    private var words: [UInt64]
    let pageCount: Int

    init(pageCount: Int) {
        self.pageCount = pageCount
        words = [UInt64](repeating: 0, count: (pageCount + 63) / 64)
    }

    /// Pages behind the end are none.
    func contains(_ page: Int) -> Bool {
        page < pageCount && words[page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    mutating func insert(_ pages: Range<Int>) {
        guard !pages.isEmpty else { return }
        for group in pages.lowerBound >> 6...(pages.upperBound - 1) >> 6 {
            words[group] |= PageSet.mask(pages, group)
        }
    }

    /// The end of the pages from the first of `pages` on that are like it.
    func endOfRun(in pages: Range<Int>) -> Int {
        let isSet = contains(pages.lowerBound)
        var group = pages.lowerBound >> 6
        var first = UInt64(pages.lowerBound & 63)
        while group < words.count, group << 6 < pages.upperBound {
            let others = (isSet ? ~words[group] : words[group]) & (~0 << first)
            if others != 0 { return min(group << 6 + others.trailingZeroBitCount, pages.upperBound) }
            first = 0
            group += 1
        }
        // Behind the end nothing is set.
        return isSet ? min(pages.upperBound, pageCount) : pages.upperBound
    }

    /// The pages, in order.
    var runs: [Range<Int>] {
        var runs: [Range<Int>] = []
        for group in words.indices { PageSet.append(words[group], group, to: &runs) }
        return runs
    }
}
