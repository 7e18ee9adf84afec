internal import Userfault

/// Where in a region pieces lie that could be one huge page each: a pure calculation with page numbers.
package struct HugePageGrid: Hashable, Sendable {
    /// The pages of a piece: the system's, since memory of others is made of huge ones already.
    package static let pages = HugePage.size / SystemPage.size
    /// The number of the first page at or before the start of the region that begins a piece: zero or negative.
    private let origin: Int

    /// - Parameter start: the address of the page 0.
    package init(start: UInt) {
        origin = -(Int(start / UInt(SystemPage.size)) % Self.pages)
    }

    /// The last page at or before `page` that begins a piece.
    private func floor(_ page: Int) -> Int { page - (page - origin) % Self.pages }

    /// The whole pieces that lie in `range`, as the pages from the first to the last of them; nil where there is none.
    package func pieces(in range: Range<Int>) -> Range<Int>? {
        guard range.count >= Self.pages else { return nil }
        let start = floor(range.lowerBound + Self.pages - 1)
        let end = floor(range.upperBound)
        return start < end ? start..<end : nil
    }

    /// Where to stop instead of at `end`, so that what follows begins a piece: not at or before `page`, and not where `size` pages
    /// at a time are too few for a piece.
    package func cut(_ end: Int, after page: Int, _ size: Int) -> Int {
        guard size >= Self.pages else { return end }
        let cut = floor(end)
        return cut > page ? cut : end
    }

    /// The same downwards: not at or behind `page`.
    package func cut(_ start: Int, before page: Int, _ size: Int) -> Int {
        guard size >= Self.pages else { return start }
        let cut = floor(start + Self.pages - 1)
        return cut < page ? cut : start
    }
}
