/// Copied pages on their way to the target, in a piece of the staging memory.
struct StagedChunk: Sendable {
    /// Neighbouring pages, and where in the piece they lie, in pages.
    struct Run: Sendable {
        var pages: Range<Int>
        var slot: Int
    }

    /// Which piece.
    let index: Int
    var runs: [Run] = []
    /// Pages of the piece that are used, those that were dropped again included.
    var usedPages = 0

    var pageCount: Int { runs.reduce(0) { $0 + $1.pages.count } }

    mutating func append(_ pages: Range<Int>) {
        guard !pages.isEmpty else { return }
        if let last = runs.last, last.pages.upperBound == pages.lowerBound,
            last.slot + last.pages.count == usedPages
        {
            runs[runs.count - 1].pages = last.pages.lowerBound..<pages.upperBound
        } else {
            runs.append(Run(pages: pages, slot: usedPages))
        }
        usedPages += pages.count
    }
}

extension SnapshotBoard {
    enum UrgentWork: Sendable {
        /// Pages that threads wait to write, as many as there is room for.
        case pages([Int])
        /// Room for pages, which the copier has none of.
        case room(chunk: Int)
        /// Nothing at the moment.
        case none
        /// Every page has been copied.
        case finished
        case stopped(PagerError)
    }

    enum SaveWork: Sendable {
        /// Copied by the other task, and to be written.
        case chunk(StagedChunk)
        /// The next pages in order, to be copied and written.
        case run(Range<Int>)
        case none
        case finished
        case stopped(PagerError)
    }
}
