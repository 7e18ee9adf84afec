/// One bit for each page of a region. Untouched stretches cost no memory.
package struct PageBitmap {
    private let words: WordStorage
    package let pageCount: Int
    /// How many bits are set.
    package private(set) var population = 0

    package init(pageCount: Int) {
        self.pageCount = pageCount
        words = WordStorage(count: (pageCount + 63) / 64)
    }

    /// The same pages, in storage of their own: a plain copy shares it.
    package func copy() -> PageBitmap {
        var copy = PageBitmap(pageCount: pageCount)
        copy.formUnion(self)
        return copy
    }

    package mutating func formUnion(_ other: PageBitmap) {
        precondition(pageCount == other.pageCount)
        for index in 0..<words.count {
            // Not written where nothing is new: untouched memory stays untouched.
            let added = other.words[index] & ~words[index]
            guard added != 0 else { continue }
            words[index] |= added
            population += added.nonzeroBitCount
        }
    }

    package func contains(_ page: Int) -> Bool {
        words[page >> 6] & (1 << UInt64(page & 63)) != 0
    }

    /// The bits of 64 pages.
    func word(_ index: Int) -> UInt64 { words[index] }

    @inline(__always)
    package mutating func insert(_ pages: Range<Int>) {
        forEachWord(of: pages) { index, mask in
            let old = words[index]
            population += (mask & ~old).nonzeroBitCount
            words[index] = old | mask
        }
    }

    @inline(__always)
    package mutating func remove(_ pages: Range<Int>) {
        forEachWord(of: pages) { index, mask in
            let old = words[index]
            population -= (mask & old).nonzeroBitCount
            words[index] = old & ~mask
        }
    }

    /// The first page at or after `page` whose bit is `value`, or nil when there is none before `limit`.
    package func first(_ value: Bool, from page: Int, below limit: Int) -> Int? {
        guard page < limit else { return nil }
        var index = page >> 6
        var word = (value ? words[index] : ~words[index]) & (~UInt64(0) << UInt64(page & 63))
        let lastIndex = (limit - 1) >> 6
        while word == 0 {
            index += 1
            if index > lastIndex { return nil }
            word = value ? words[index] : ~words[index]
        }
        let found = index << 6 + word.trailingZeroBitCount
        return found < limit ? found : nil
    }

    /// The last page before `limit` whose bit is `value`, or nil when there is none from `page` on.
    package func last(_ value: Bool, below limit: Int, downTo page: Int) -> Int? {
        guard page < limit else { return nil }
        var index = (limit - 1) >> 6
        var word = (value ? words[index] : ~words[index]) & (~UInt64(0) >> UInt64(63 - (limit - 1) & 63))
        let firstIndex = page >> 6
        while word == 0 {
            index -= 1
            if index < firstIndex { return nil }
            word = value ? words[index] : ~words[index]
        }
        let found = index << 6 + (63 - word.leadingZeroBitCount)
        return found >= page ? found : nil
    }

    /// The next run of pages at or after `page` whose bits are all `value`.
    package func nextRun(_ value: Bool, from page: Int, below limit: Int) -> Range<Int>? {
        guard let start = first(value, from: page, below: limit) else { return nil }
        return start..<(first(!value, from: start, below: limit) ?? limit)
    }

    /// Sets the bits that are set in `pages` of `other`, whose first page is this one's first.
    package mutating func insert(_ pages: Range<Int>, of other: PageBitmap) {
        guard other.population > 0 else { return }
        var page = pages.lowerBound
        while let run = other.nextRun(true, from: page, below: pages.upperBound) {
            insert(run.lowerBound - pages.lowerBound..<run.upperBound - pages.lowerBound)
            page = run.upperBound
        }
    }

    // Inlined for the one page of nearly every fault; several are looked through elsewhere.
    @inline(__always)
    private func forEachWord(of pages: Range<Int>, _ body: (Int, UInt64) -> Void) {
        precondition(pages.lowerBound >= 0 && pages.upperBound <= pageCount)
        if pages.count == 1 { return body(pages.lowerBound >> 6, 1 << UInt64(pages.lowerBound & 63)) }
        Self.forEachWord(ofSeveral: pages, body)
    }

    @inline(never)
    private static func forEachWord(ofSeveral pages: Range<Int>, _ body: (Int, UInt64) -> Void) {
        guard !pages.isEmpty else { return }
        let firstIndex = pages.lowerBound >> 6
        let lastIndex = (pages.upperBound - 1) >> 6
        for index in firstIndex...lastIndex {
            var mask = ~UInt64(0)
            if index == firstIndex { mask &= ~UInt64(0) << UInt64(pages.lowerBound & 63) }
            if index == lastIndex { mask &= ~UInt64(0) >> UInt64(63 - (pages.upperBound - 1) & 63) }
            body(index, mask)
        }
    }
}
