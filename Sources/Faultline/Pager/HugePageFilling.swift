/// Which pieces of a region are to become huge pages: a pure state machine.
///
/// Where the kernel has no huge page at hand, or keeps a table of small pages at the place of one, moving what was put together
/// takes longer than copying. After such a piece the next ones are copied, twice as many each time, before another one is tried.
package struct HugePageFilling {
    package let grid: HugePageGrid
    /// Pieces that have failed, one after the other.
    private var misses = 0
    /// Those that are copied before the next one is tried.
    private var pause = 0
    private static let longestPause = 256

    package init(grid: HugePageGrid) {
        self.grid = grid
    }

    /// Whether to try it with the next piece.
    package mutating func tries() -> Bool {
        guard pause > 0 else { return true }
        pause -= 1
        return false
    }

    /// Takes note of what has become of a piece.
    package mutating func note(isHuge: Bool) {
        misses = isHuge ? 0 : misses + 1
        pause = misses == 0 ? 0 : min(1 << min(misses, 16), Self.longestPause)
    }
}
