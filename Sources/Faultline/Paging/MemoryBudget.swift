internal import EventReactor
internal import Userfault

/// How much memory the pages of some regions may take: the regions can be larger than that, together and each.
///
/// Given to ``Pager/map(store:startingAt:byteCount:budget:options:)``; any number of regions of one pager may share a budget.
/// Above the high watermark pages that have not been of use lately leave memory, down to the low one: clean ones at once,
/// changed ones after they were written to their store. Threads go on meanwhile. At the limit itself they wait for room, in
/// order.
///
/// Buffers, and what stores keep for themselves, such as the page cache, do not count.
public final class MemoryBudget: Sendable {
    /// The most bytes of pages that are in memory at a time.
    public let byteCount: Int
    /// Above so many bytes, pages leave memory.
    public let highWatermark: Int
    /// Down to so many.
    public let lowWatermark: Int

    /// The pager whose regions use it.
    private let owner = Lock<ObjectIdentifier?>(nil)

    /// Fewer pages than one instruction may need at the same time would be of no use.
    static let leastPages = 64

    /// A budget of `byteCount` bytes. Any thread; neither blocks nor allocates more than this object.
    ///
    /// - Parameters:
    ///   - byteCount: the limit; at least 64 pages.
    ///   - highWatermark: in bytes, up to the limit; nil for 15/16 of it.
    ///   - lowWatermark: in bytes, up to the high one; nil for 7/8 of the limit, or less.
    /// - Throws: ``PagerError`` when the numbers are too small, or not in order.
    public init(byteCount: Int, highWatermark: Int? = nil, lowWatermark: Int? = nil) throws(PagerError) {
        let least = Self.leastPages * SystemPage.size
        guard byteCount >= least else {
            throw PagerError(
                .invalidBudget, "a budget of \(byteCount) bytes is too small; give it at least \(least)")
        }
        let high = highWatermark ?? byteCount - byteCount / 16
        let low = lowWatermark ?? min(high, byteCount - byteCount / 8)
        guard low > 0, low <= high, high <= byteCount else {
            throw PagerError(
                .invalidBudget,
                "watermarks of \(low) and \(high) bytes are not in order: 0 < low ≤ high ≤ \(byteCount)")
        }
        self.byteCount = byteCount
        self.highWatermark = high
        self.lowWatermark = low
    }

    /// Whether the budget is a pager's own, now or from now on.
    func claim(for pager: PagerCore) -> Bool {
        owner.withLock { owner in
            owner = owner ?? ObjectIdentifier(pager)
            return owner == ObjectIdentifier(pager)
        }
    }

    func release(_ pager: PagerCore) {
        owner.withLock { owner in if owner == ObjectIdentifier(pager) { owner = nil } }
    }
}
