/// How many pages a prefetch may have under way: few while threads fault, many while none does. Pure; has no clock.
///
/// What is under way delays faults in two places: the loop installs it, and the store reads it. Neither can be seen from here
/// when it happens to others, but both show in the prefetch's own requests: where twice the pages take about twice the time,
/// each page is in somebody's way; where they take the same time, the store is merely far away, and more of them under way cost
/// nobody anything.
package struct PrefetchPace {
    /// Pages of one request, at most, where nothing speaks for more.
    package static let usualChunk = 256
    /// Pages that may be under way, at most.
    package static let mostPages = 1024
    /// As little as this is always under way.
    private static let smallestChunkByteCount = 256 << 10
    /// What the loop needs to install a page, nanoseconds: measured, for small pages.
    private static let installingTime: Int64 = 1000
    /// Without a fault for so long, nanoseconds, and for four answers, the threads have what they want.
    private static let calm: Int64 = 2_000_000
    /// After so many answers the level below is looked at again: it may have been measured at a bad moment.
    private static let longestStay = 16

    private let smallestChunk: Int
    /// Pages of one request, at most.
    let largestChunk: Int
    /// The steps that `pages` is doubled from the smallest chunk.
    private var level: Int
    /// What a request costs at each level, nanoseconds; 0 where that is not known. Close to the least of the last ones: what is
    /// above it is waiting for something else, a processor for example, and would make large requests look as cheap as small ones.
    private var costs: [Int64]
    /// Answers that have spoken for this level since the one below was measured.
    private var stay = 0
    private var faultCount: Int
    private var lastFault: Int64?

    /// Begins with as much as there can be.
    ///
    /// - Parameter faultCount: how many faults there have been.
    package init(pageSize: Int, largestChunk: Int = usualChunk, faultCount: Int) {
        self.largestChunk = largestChunk
        smallestChunk = max(1, min(largestChunk, Self.smallestChunkByteCount / pageSize))
        var levels = 1
        while smallestChunk << levels <= Self.mostPages { levels += 1 }
        costs = Array(repeating: 0, count: levels)
        level = levels - 1
        self.faultCount = faultCount
    }

    /// The pages that may be under way.
    package var pages: Int { smallestChunk << level }
    /// Those of one request.
    package var chunk: Int { min(pages, largestChunk) }
    /// The requests that may be open.
    package var width: Int { max(1, pages / largestChunk) }

    /// Takes note of an answer to a request that was asked for at this pace.
    ///
    /// - Parameters:
    ///   - time: since it was asked for, nanoseconds; 0 when it was answered at once.
    ///   - now: nanoseconds of any clock.
    ///   - faultCount: how many faults there have been.
    package mutating func answered(after time: Int64, now: Int64, faultCount: Int) {
        let cost = time + Int64(pages) * Self.installingTime
        let known = costs[level]
        costs[level] = known == 0 || cost < known ? cost : known + (cost - known) / 16
        if faultCount != self.faultCount {
            self.faultCount = faultCount
            lastFault = now
        }
        let before = level
        if isCalm(now) {
            level = min(level + 1, costs.count - 1)
        } else if level + 1 < costs.count, costs[level + 1] != 0, !isDear(level + 1) {
            level += 1
        } else if isDear(level) {
            level -= 1
        }
        stay = level == before ? stay + 1 : 0
        if stay == Self.longestStay {
            stay = 0
            if level > 0 { costs[level - 1] = 0 }
        }
    }

    private func isCalm(_ now: Int64) -> Bool {
        guard let lastFault else { return true }
        return now - lastFault > max(Self.calm, 4 * costs[level])
    }

    /// Whether half the pages would be answered noticeably sooner, as far as that is known.
    private func isDear(_ level: Int) -> Bool {
        guard level > 0 else { return false }
        guard costs[level - 1] != 0 else { return true }
        return costs[level] * 4 >= costs[level - 1] * 5
    }
}

/// How many faults there are, counted while somebody wants to know. Shared by the pagers of a reactor; the loop's thread only.
final class FaultCounter {
    /// Those who want to know.
    var watchers = 0
    var count = 0
}
