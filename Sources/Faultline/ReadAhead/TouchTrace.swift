/// The order in which the pages of a region were first touched, as runs of pages.
///
/// Recorded with ``ServedRegion/startRecording()``, kept beside a snapshot in its ``encoded()`` form, and given to
/// ``ServedRegion/prefetch(_:progress:)-(TouchTrace,_)`` when the snapshot is restored: what the program will need first is
/// there before it asks.
public struct TouchTrace: Hashable, Sendable {
    /// The size of the pages in bytes.
    public let pageSize: Int
    /// Runs of pages, counted from the start of the region, in the order of their first touch.
    public internal(set) var runs: [Range<Int>] = []

    /// A trace without touches.
    ///
    /// - Precondition: `pageSize` is positive.
    public init(pageSize: Int) {
        precondition(pageSize > 0)
        self.pageSize = pageSize
    }

    /// How many pages were touched.
    public var pageCount: Int { runs.reduce(0) { $0 + $1.count } }

    /// Adds pages that were touched next; a run that goes on where the last one ends becomes a part of it.
    ///
    /// - Precondition: `pages` is not empty and begins at zero or above.
    public mutating func append(_ pages: Range<Int>) {
        precondition(!pages.isEmpty && pages.lowerBound >= 0)
        if let last = runs.last, last.upperBound == pages.lowerBound {
            runs[runs.count - 1] = last.lowerBound..<pages.upperBound
        } else {
            runs.append(pages)
        }
    }
}
