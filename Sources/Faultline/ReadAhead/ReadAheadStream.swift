/// A reader that goes through a region in an order of its own, as far as its faults tell.
struct ReadAheadStream {
    enum Course: Hashable {
        /// Too few faults to tell.
        case unknown
        case ascending
        case descending
        /// One page at a time, this many pages apart; negative downwards.
        case strided(Int)
    }

    var course = Course.unknown
    /// The pages it faulted on last.
    var last: Range<Int>
    /// Where its next fault is expected: the first page behind those that were filled for it.
    var expected: Int
    /// How many pages were filled ahead of it last time.
    var size = 0
    /// Those of them of which it is not known whether anybody needed them. The page behind them is the sample: a fault there
    /// says that they were.
    var unconfirmed = 0
    /// How far apart its last two faults were, for strides.
    var distance = 0
    /// When it was last seen, counted in faults.
    var lastUse: UInt64

    /// Faults a little beyond the expected page belong to the stream too: several threads share it, each with a page of its own.
    private static let slack = 32
    /// Strides longer than this are nobody's.
    static let longestStride = 256

    init(_ pages: Range<Int>, at time: UInt64) {
        last = pages
        expected = pages.upperBound
        lastUse = time
    }

    /// Whether a fault on `pages` is the one that a stream whose course is known was to take next.
    func expects(_ pages: Range<Int>) -> Bool {
        let tolerance = min(max(size, 2), Self.slack)
        switch course {
        case .unknown: return false
        case .ascending: return pages.lowerBound >= expected && pages.lowerBound - expected <= tolerance
        case .descending:
            return pages.upperBound - 1 <= expected && expected - (pages.upperBound - 1) <= tolerance
        case .strided: return pages.lowerBound == expected
        }
    }

    /// What a fault on `pages` says about the course of a stream that had none: nil when it has nothing to do with it.
    func course(suggestedBy pages: Range<Int>) -> Course? {
        let distance = pages.lowerBound - last.lowerBound
        if (0...2).contains(pages.lowerBound - last.upperBound) { return .ascending }
        if (0...2).contains(last.lowerBound - pages.upperBound) { return .descending }
        guard distance != 0, abs(distance) <= Self.longestStride else { return nil }
        return distance == self.distance ? .strided(distance) : .unknown
    }
}
