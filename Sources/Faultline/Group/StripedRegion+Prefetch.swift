internal import EventReactor
public import Userfault

extension StripedRegion {
    /// Fills pages that nobody waits for yet, and returns when all have been asked for and answered: the stripes of each pager in
    /// ascending order, all pagers at the same time. Otherwise as
    /// ``ServedRegion/prefetch(_:progress:)-(AddressRange?,_)``. Any thread; cancelling the task ends it early.
    ///
    /// - Parameters:
    ///   - part: whole pages of the region, as addresses; nil for all.
    ///   - progress: told after each chunk how far all of it has come, on the threads of the reactors, at the same time: it must
    ///     not block, nor touch a region.
    /// - Returns: what was done.
    /// - Throws: ``PagerError`` when the region is not served any more, or `part` is not of it.
    @discardableResult
    public func prefetch(
        _ part: AddressRange? = nil, progress: (@Sendable (PrefetchProgress) -> Void)? = nil
    ) async throws(PagerError) -> PrefetchProgress {
        let part = part ?? range
        var shares = [[(Stripe, AddressRange)]](repeating: [], count: group.pagers.count)
        for piece in try parts(of: part, "prefetched") {
            shares[plan.pager(of: plan.index(of: piece.0.range.start))].append(piece)
        }
        let sum = ProgressSum(pageCount: part.byteCount / pageSize, report: progress)
        let failure = await withTaskGroup(of: PagerError?.self) { tasks in
            for share in shares where !share.isEmpty {
                tasks.addTask { await Self.prefetch(share, into: sum) }
            }
            var first: PagerError?
            for await error in tasks {
                guard let error, first == nil else { continue }
                first = error
                tasks.cancelAll()
            }
            return first
        }
        if let failure { throw failure }
        return sum.total
    }

    /// One pager's share.
    private static func prefetch(
        _ share: [(Stripe, AddressRange)], into sum: ProgressSum
    ) async -> PagerError? {
        for (stripe, part) in share {
            guard !Task.isCancelled else { return nil }
            do throws(PagerError) {
                let place = sum.begin()
                let done = try await stripe.prefetch(part) { sum.report($0, at: place) }
                sum.end(done, at: place)
            } catch {
                return error
            }
        }
        return nil
    }

    /// As ``prefetch(_:progress:)``, without waiting for it. Any thread; does not block.
    ///
    /// - Parameter part: whole pages of the region; what lies outside of it is left out.
    public func willNeed(_ part: AddressRange) {
        guard let part = range.intersection(part) else { return }
        for number in plan.indices(of: part) {
            let stripe = stripe(number)
            if let own = stripe.range.intersection(part) { stripe.willNeed(own) }
        }
    }

    /// Says how the region will be read from now on, as ``ServedRegion/advise(_:)`` does. Any thread; does not block.
    public func advise(_ advice: AccessAdvice) {
        for number in 0..<plan.stripeCount { stripe(number).advise(advice) }
    }
}

/// How far the prefetches of many stripes have come together. Any thread.
private final class ProgressSum: Sendable {
    private struct State {
        /// Those that are over.
        var done: PrefetchProgress
        /// Those that are under way.
        var open: [Int: PrefetchProgress] = [:]
        var last = 0

        var total: PrefetchProgress {
            var total = done
            for progress in open.values { total.add(progress) }
            return total
        }
    }

    private let state: Lock<State>
    private let receiver: (@Sendable (PrefetchProgress) -> Void)?

    init(pageCount: Int, report: (@Sendable (PrefetchProgress) -> Void)?) {
        state = Lock(State(done: PrefetchProgress(pageCount: pageCount)))
        receiver = report
    }

    var total: PrefetchProgress { state.withLock(\.total) }

    /// The place of another one.
    func begin() -> Int {
        state.withLock { state in
            state.last += 1
            return state.last
        }
    }

    func report(_ progress: PrefetchProgress, at place: Int) {
        let total = state.withLock { state in
            state.open[place] = progress
            return state.total
        }
        receiver?(total)
    }

    func end(_ progress: PrefetchProgress, at place: Int) {
        state.withLock { state in
            state.open[place] = nil
            state.done.add(progress)
        }
    }
}

extension PrefetchProgress {
    /// Adds what was done elsewhere; the pages that it is about stay the same.
    fileprivate mutating func add(_ other: PrefetchProgress) {
        requestedPages += other.requestedPages
        skippedPages += other.skippedPages
        failedPages += other.failedPages
    }
}
