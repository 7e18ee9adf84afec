import EventReactor
import Userfault

/// Protects the pages of a set, or lifts their protection, a slice in each turn. Loop's thread only.
///
/// A pass over a gigabyte takes the kernel tens of milliseconds: nobody's fault shall wait that long.
final class PagePass: TimerHandler, EndOfTurnWork {
    enum Action { case protect, unprotect }

    /// What is done in one turn at most.
    struct Slice {
        var pages: Int
        var calls: Int

        /// Some hundred microseconds.
        static let small = Slice(pages: 1024, calls: 64)
        /// For pages that lie scattered, whose number must shrink faster than they are written anew.
        static let large = Slice(pages: 2048, calls: 512)
    }

    /// Pages that are looked through in one turn at most, where most of them are not in the set.
    private static let scanLimit = 1 << 21

    private let watch: WriteWatch
    private let action: Action
    private let pages: PageBitmap
    private let slice: Slice
    private var next = 0
    private var ranges: [AddressRange] = []
    private var backoff = Backoff(first: .microseconds(20), limit: .milliseconds(1))
    private var completion: ((Result<[AddressRange], PagerError>) -> Void)?

    init(_ watch: WriteWatch, _ action: Action, _ pages: PageBitmap, _ slice: Slice) {
        self.watch = watch
        self.action = action
        self.pages = pages
        self.slice = slice
    }

    var isOver: Bool { completion == nil }

    /// Does the first slice at the end of the turn; calls `completion` with the ranges of the set, merged and in order, after
    /// the last.
    func begin(_ completion: @escaping (Result<[AddressRange], PagerError>) -> Void) {
        self.completion = completion
        goOnLater()
    }

    /// Ends at once; whoever waits is told.
    func fail(_ error: PagerError) { end(.failure(error)) }

    /// Ends at once, and tells nobody.
    func abandon() { completion = nil }

    func timerFired(_ id: TimerID) {
        if !isOver { step() }
    }

    func timerAbandoned(_ id: TimerID) { fail(.shutDown()) }

    private func step() {
        guard let kernel = watch.core.kernel else { return }
        var pagesLeft = slice.pages
        var callsLeft = slice.calls
        let scanEnd = min(next + Self.scanLimit, pages.pageCount)
        while !isOver {
            guard let run = pages.nextRun(true, from: next, below: scanEnd) else {
                next = scanEnd
                return scanEnd == pages.pageCount ? end(.success(ranges)) : goOnLater()
            }
            guard pagesLeft > 0, callsLeft > 0 else { return goOnLater() }
            var part = run.prefix(pagesLeft)
            // Where pages have gone, there may be somebody else's by now.
            if watch.region.table.isAltered, let (first, fate) = watch.region.table.fates(of: part).first {
                part = first
                if fate == .gone {
                    next = first.upperBound
                    continue
                }
            }
            pagesLeft -= part.count
            callsLeft -= 1
            switch perform(part, kernel) {
            case .whole:
                add(part)
            case .again, .partial, .exists:
                let timer = watch.core.reactor.startTimer(after: backoff.next(), self)
                if timer == .none { end(.failure(.shutDown())) }
                return
            case .gone(.range):
                // Part of it is not mapped any more; the rest is.
                callsLeft -= part.count > 1 ? part.count : 0
                if part.count > 1 { for page in part { _ = perform(page..<page + 1, kernel) } }
                add(part)
            case .gone(.process):
                end(.failure(PagerError(.kernel, "the process whose memory this was has exited")))
            case .failed(let error):
                end(.failure(PagerError(error)))
            }
        }
    }

    private func perform(_ pages: Range<Int>, _ kernel: any FaultKernel) -> Outcome {
        let range = watch.region.range(of: pages)
        switch action {
        case .protect:
            watch.core.statistics.protects += 1
            return kernel.protect(range)
        case .unprotect:
            watch.core.statistics.unprotects += 1
            return kernel.unprotect(range, wake: true)
        }
    }

    private func add(_ part: Range<Int>) {
        next = part.upperBound
        backoff.reset()
        let range = watch.region.range(of: part)
        if let last = ranges.last, last.end == range.start {
            ranges[ranges.count - 1].byteCount += range.byteCount
        } else {
            ranges.append(range)
        }
    }

    /// After faults have been read: jobs would run in the same turn.
    private func goOnLater() { watch.core.reactor.scheduleEndOfTurn(self) }

    func endOfTurn() {
        if !isOver { step() }
    }

    private func end(_ result: Result<[AddressRange], PagerError>) {
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}
