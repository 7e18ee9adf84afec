/// What is known of each page of one region, and what to do with a fault on it: a pure state machine.
///
/// A page is missing, in flight (some request is to supply it) or present. Two bits a page, whatever the size of
/// the region; everything else grows with what is in flight.
package struct FaultTable: ~Copyable {
    package enum Admission: Hashable, Sendable {
        /// Nobody supplies this page yet: begin.
        case begin
        /// A request for this page is under way; its wake will free this thread too.
        case join
        /// The page is there: the message was late. Wake the thread, it will find the page.
        case wake
    }

    private var present: PageBitmap
    private var inFlight: PageBitmap
    /// See `FaultTable+Changes.swift`; neither costs anything before the address space changes.
    var removed: PageBitmap?
    var gone: PageBitmap?
    /// Whether pages were removed, or have gone: all that the way of a fault asks.
    package internal(set) var isAltered = false
    package let pageCount: Int

    package init(pageCount: Int) {
        self.pageCount = pageCount
        present = PageBitmap(pageCount: pageCount)
        inFlight = PageBitmap(pageCount: pageCount)
    }

    package var presentCount: Int { present.population }
    package var inFlightCount: Int { inFlight.population }

    // Every fault asks: the call takes longer than the answer.
    @inline(__always)
    package func admit(_ page: Int) -> Admission {
        if inFlight.contains(page) { return .join }
        return present.contains(page) ? .wake : .begin
    }

    /// What to do with a write to a protected page.
    package func admitWrite(_ page: Int) -> Admission {
        inFlight.contains(page) ? .join : .begin
    }

    /// A request about `pages`, which are there, is under way.
    package mutating func beginWrite(_ pages: Range<Int>) { inFlight.insert(pages) }

    /// The request about `pages`, which are there, is over without a result.
    package mutating func endWrite(_ pages: Range<Int>) { inFlight.remove(pages) }

    /// Whether a request may join `page` to others that are missing.
    package func mayBeAsked(_ page: Int) -> Bool {
        isMissing(page) && (!isAltered || fate(page) == .asAnswered)
    }
    /// Which of 64 pages are in flight.
    func inFlightWord(_ group: Int) -> UInt64 { inFlight.word(group) }

    package func isMissing(_ page: Int) -> Bool { !present.contains(page) && !inFlight.contains(page) }
    package func isPresent(_ page: Int) -> Bool { present.contains(page) }
    package func isInFlight(_ page: Int) -> Bool { inFlight.contains(page) }

    private func areMissing(_ pages: Range<Int>) -> Bool {
        missingEnd(from: pages.lowerBound, below: pages.upperBound) == pages.upperBound
    }

    /// A request for `pages`, all of them missing, is under way.
    package mutating func begin(_ pages: Range<Int>) {
        assert(areMissing(pages))
        inFlight.insert(pages)
    }

    /// `pages`, missing so far, are installed without ever having been in flight.
    package mutating func installMissing(_ pages: Range<Int>) {
        assert(areMissing(pages))
        present.insert(pages)
    }

    /// `pages` are installed, by us or by somebody else.
    package mutating func install(_ pages: Range<Int>) {
        inFlight.remove(pages)
        present.insert(pages)
    }

    /// `pages` are not to be supplied after all, or have gone: they are missing.
    package mutating func forget(_ pages: Range<Int>) {
        inFlight.remove(pages)
        present.remove(pages)
    }

    /// Pages of `pages` that were there have gone; those in flight stay in flight.
    package mutating func forgetPresent(_ pages: Range<Int>) {
        present.remove(pages)
    }

    /// The next run of pages that hold no contents yet, in flight or not.
    package func nextAbsentRun(from page: Int) -> Range<Int>? {
        present.nextRun(false, from: page, below: pageCount)
    }

    /// Takes `pages` out of both bitmaps; how many of them were in flight.
    mutating func clear(_ pages: Range<Int>) -> Int {
        let before = inFlight.population
        inFlight.remove(pages)
        present.remove(pages)
        return before - inFlight.population
    }

    /// Takes over which of the pages `pages` of `other` are there; the first of them is this one's first.
    mutating func copyPresent(_ pages: Range<Int>, of other: borrowing FaultTable) {
        present.insert(pages, of: other.present)
    }

    /// The next run of pages that hold contents.
    package func nextPresentRun(from page: Int) -> Range<Int>? {
        present.nextRun(true, from: page, below: pageCount)
    }

    /// The pages that hold contents now.
    package func presentPages() -> PageBitmap { present.copy() }

    /// The first of `pages` that is neither there nor in flight, and those that follow it and are not either.
    package func nextMissingRun(in pages: Range<Int>) -> Range<Int>? {
        var start = pages.lowerBound
        while let absent = present.nextRun(false, from: start, below: pages.upperBound) {
            if let run = inFlight.nextRun(false, from: absent.lowerBound, below: absent.upperBound) {
                return run
            }
            start = absent.upperBound
        }
        return nil
    }

    /// Whether any page of `pages` is in flight.
    package func hasInFlight(_ pages: Range<Int>) -> Bool {
        inFlight.first(true, from: pages.lowerBound, below: pages.upperBound) != nil
    }

    /// The first page from `page` on, below `limit` and the end of the region, that is not missing; where there is none, that
    /// limit.
    package func missingEnd(from page: Int, below limit: Int) -> Int {
        let limit = min(limit, pageCount)
        let end = present.first(true, from: page, below: limit) ?? max(limit, page)
        return inFlight.first(true, from: page, below: end) ?? end
    }

    /// How far the missing pages reach that come before `page`: not below `limit`, nor the start of the region.
    package func missingStart(from page: Int, downTo limit: Int) -> Int {
        let limit = max(limit, 0)
        let start = present.last(true, below: page, downTo: limit).map { $0 + 1 } ?? min(limit, page)
        return inFlight.last(true, below: page, downTo: start).map { $0 + 1 } ?? start
    }

    /// The first missing page from `page` on, below `limit`.
    package func nextMissing(from page: Int, below limit: Int) -> Int? {
        var page = page
        let limit = min(limit, pageCount)
        while let candidate = present.first(false, from: page, below: limit) {
            if !inFlight.contains(candidate) { return candidate }
            page = candidate + 1
        }
        return nil
    }

    /// The first missing page from `page` downwards, not below `limit`.
    package func previousMissing(from page: Int, downTo limit: Int) -> Int? {
        var end = page + 1
        while let candidate = present.last(false, below: end, downTo: max(limit, 0)) {
            if !inFlight.contains(candidate) { return candidate }
            end = candidate
        }
        return nil
    }
}
