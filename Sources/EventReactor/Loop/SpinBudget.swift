/// Decides for how long a wait looks for work before it blocks, from how long the waits before it took. All times are
/// in nanoseconds. No clock and no system calls in here.
///
/// Two things speak for looking: work is expected soon, and looking was not in vain lately.
///
/// - The expected gap is a moving average of the gaps between the beginning of a wait and the arrival of work. A gap
///   counts as 4 limits at most, so that the silence after a burst is forgotten soon.
/// - Each time looking was in vain, twice as many waits as the last time block at once, up to 63; the first time is
///   forgiven. Gaps that would have been short enough cut the penalty in half.
///
/// Whatever the gaps are, no more spins are in vain than find something, plus 7, plus one for every 6 waits that blocked at
/// once. When all gaps are longer than the limit, one wait in 64 looks; when they are longer than twice that, soon none.
package struct SpinBudget: Hashable, Sendable {
    /// The longest limit that is taken.
    package static let longestLimit: Int64 = 1_000_000_000

    /// More than that, and the penalty grows no further.
    private static let mostDoubts = 7

    private let limit: Int64
    /// How long after the beginning of a wait work is expected.
    package private(set) var expectedGap: Int64
    /// Spins in vain, less those that found something; between 0 and 7.
    private var doubts = 0
    /// How many of the next waits block at once.
    package private(set) var waitsToSkip = 0

    /// A budget that does not know anything yet, and will try.
    ///
    /// - Parameter limit: how long a wait may look at most; at least 1.
    package init(limit: Int64) {
        self.limit = min(max(limit, 1), Self.longestLimit)
        expectedGap = self.limit
    }

    /// For how long the next wait is to look; 0 if it is to block at once.
    package var allowance: Int64 {
        // Twice the limit: the gaps of waits that blocked contain the time it took to wake the loop.
        guard waitsToSkip == 0, expectedGap <= 2 * limit else { return 0 }
        // Three times the mean catches 95 of 100 gaps that vary as those between independent arrivals do.
        return min(max(3 * expectedGap, limit / 8, 1), limit)
    }

    /// A wait looked, and work came `gap` after its beginning.
    package mutating func found(after gap: Int64) {
        learn(gap)
        doubts = max(doubts - 1, 0)
    }

    /// A wait looked in vain, then blocked; work came `gap` after its beginning.
    package mutating func spunInVain(gap: Int64) {
        learn(gap)
        doubts = min(doubts + 1, Self.mostDoubts)
        waitsToSkip = 1 << (doubts - 1) - 1
    }

    /// A wait blocked at once; work came `gap` after its beginning.
    package mutating func blocked(gap: Int64) {
        learn(gap)
        // Halved, not forgotten: else a short gap after each long one would let only the long ones be looked at.
        waitsToSkip = gap <= limit ? waitsToSkip / 2 : max(waitsToSkip - 1, 0)
    }

    private mutating func learn(_ gap: Int64) {
        expectedGap += (min(max(gap, 0), 4 * limit) - expectedGap) / 4
    }
}
