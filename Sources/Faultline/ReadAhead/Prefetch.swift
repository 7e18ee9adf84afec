import EventReactor

/// How far a prefetch has come: see ``ServedRegion/prefetch(_:progress:)-(AddressRange?,_)``.
public struct PrefetchProgress: Hashable, Sendable {
    /// The pages that it is about.
    public private(set) var pageCount: Int
    /// Pages that have been asked for.
    public internal(set) var requestedPages = 0
    /// Pages that were there already, or being supplied to somebody else.
    public internal(set) var skippedPages = 0
    /// Pages asked for whose handler failed, or left them open: they come when somebody touches them.
    public internal(set) var failedPages = 0

    /// The part that has been looked at, from 0 to 1.
    public var fraction: Double {
        pageCount == 0 ? 1 : Double(requestedPages + skippedPages) / Double(pageCount)
    }
}

extension PrefetchProgress {
    init(pageCount: Int) { self.pageCount = pageCount }

    init(failed pages: Int) {
        pageCount = 0
        failedPages = pages
    }

    /// What has failed may be asked for once more.
    var withoutFailures: PrefetchProgress {
        var progress = self
        progress.failedPages = 0
        return progress
    }

    /// Adds another prefetch, with the pages that it is about.
    mutating func addAll(of other: PrefetchProgress) {
        pageCount += other.pageCount
        requestedPages += other.requestedPages
        skippedPages += other.skippedPages
        failedPages += other.failedPages
    }
}

/// A prefetch under way. Touched on the loop's thread only.
final class Prefetch {
    let number: Int
    let region: RegionState
    /// The runs of pages still to be looked at, the next one last.
    private var rest: [Range<Int>]
    var progress: PrefetchProgress
    let report: (@Sendable (PrefetchProgress) -> Void)?
    /// Requests that are not answered yet.
    var open = 0
    var isCancelled = false
    var isScheduled = false
    /// Asks for nothing before what it has asked for is there, and all others have had their turn.
    var isHeldBack = false
    /// The place in the scheduler's queue of the first piece that is not its own any more, once it has ended.
    var end = 0
    var waiter: CheckedContinuation<PrefetchProgress, Never>?
    private(set) var pace: PrefetchPace
    /// What threads wait for comes next anyway: it does not go slower for their faults.
    private let isInOrderOfUse: Bool
    /// The request whose time is taken, and when it was asked for.
    private var sample: (ticket: RequestTicket, start: Int64)?

    init(
        _ number: Int, _ region: RegionState, _ runs: [Range<Int>], isInOrderOfUse: Bool, faultCount: Int,
        report: (@Sendable (PrefetchProgress) -> Void)?
    ) {
        self.number = number
        self.region = region
        rest = runs.reversed()
        progress = PrefetchProgress(pageCount: runs.reduce(0) { $0 + $1.count })
        self.report = report
        self.isInOrderOfUse = isInOrderOfUse
        pace = PrefetchPace(
            pageSize: region.pageSize,
            largestChunk: region.hugePages == nil ? PrefetchPace.usualChunk : HugePageGrid.pages,
            faultCount: isInOrderOfUse ? 0 : faultCount)
    }

    var isExhausted: Bool { rest.isEmpty }

    func asked(_ ticket: RequestTicket, _ clock: ReactorClock) {
        open += 1
        // The one behind as many others as there may be: the first of them would tell nothing of what they do to each other.
        if sample == nil, open >= pace.width { sample = (ticket, clock.now.nanoseconds) }
    }

    func answered(_ ticket: RequestTicket, _ clock: ReactorClock, faultCount: Int) {
        open -= 1
        guard let sample, sample.ticket === ticket else { return }
        let now = clock.now.nanoseconds
        note(after: now - sample.start, now: now, faultCount: faultCount)
        self.sample = nil
    }

    /// Takes note of an answer.
    func note(after time: Int64, now: Int64, faultCount: Int) {
        pace.answered(after: time, now: now, faultCount: isInOrderOfUse ? 0 : faultCount)
    }

    func resume() {
        waiter?.resume(returning: progress)
        waiter = nil
    }

    /// Whether `page` is among the next pages.
    func isNext(_ page: Int) -> Bool {
        var count = 0
        for run in rest.reversed() {
            if run.contains(page) { return page - run.lowerBound < pace.largestChunk - count }
            count += run.count
            if count >= pace.largestChunk { return false }
        }
        return false
    }

    /// Takes the next pages in order, no more than a chunk, and puts neighbours together: they cost one request.
    func takeChunk() -> [Range<Int>] {
        let chunk = pace.chunk
        var taken: [Range<Int>] = []
        var count = 0
        while count < chunk, let run = rest.popLast() {
            let most = run.lowerBound + chunk - count
            let end = min(
                run.upperBound, region.hugePages?.grid.cut(most, after: run.lowerBound, chunk) ?? most)
            if end != run.upperBound { rest.append(end..<run.upperBound) }
            taken.append(run.lowerBound..<end)
            count += end - run.lowerBound
            // The next one begins where a huge page does.
            if end < min(run.upperBound, most) { break }
        }
        taken.sort { $0.lowerBound < $1.lowerBound }
        var merged: [Range<Int>] = []
        for run in taken {
            if let last = merged.last, last.upperBound >= run.lowerBound {
                merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, run.upperBound)
            } else {
                merged.append(run)
            }
        }
        return merged
    }
}
