internal import EventReactor
internal import Userfault

extension Pager {
    /// Fills every page that is missing in any region, in ascending order, wherever it has been moved to meanwhile, and returns
    /// when none is missing nor being supplied any more: then nothing depends on the handlers. Faults go first, as in
    /// ``ServedRegion/prefetch(_:progress:)-(AddressRange?,_)``. Any thread; cancelling the task ends it early.
    ///
    /// Pages whose contents the application drops, or that it unmaps, need no filling. Neither do those of forked children,
    /// which have pagers of their own, nor regions over stores, whose pages go again. Regions that are made meanwhile may be
    /// missed.
    ///
    /// - Returns: what was done, in all passes over the regions. With failed pages it returned before all was filled: nothing
    ///   came of the last pass.
    /// - Throws: ``PagerError`` when the pager has stopped, or the task is cancelled.
    public func prefetchAll() async throws(PagerError) -> PrefetchProgress {
        var total = PrefetchProgress(pageCount: 0)
        var position: UInt = 0
        var mark = -1
        var requested = 0
        var pause = Backoff(first: .microseconds(50), limit: .milliseconds(5))
        while true {
            if Task.isCancelled { throw .cancelled() }
            let from = position
            let survey = try await onCore { core, _ throws(PagerError) in try core.survey(from: from) }
            if let piece = survey.missing {
                if from == 0 {
                    // The last pass has filled nothing, and nothing has changed: neither would this one.
                    if mark == survey.mark, requested > 0 {
                        total.addAll(of: PrefetchProgress(failed: requested))
                        return total
                    }
                    mark = survey.mark
                    requested = 0
                }
                let progress = await prefetch(nil) { $0.missingPages(in: piece) }
                requested += progress.requestedPages
                total.addAll(of: progress.withoutFailures)
                position = piece.end
            } else if from > 0 {
                position = 0
            } else if survey.hasInFlight {
                do { try await reactor.sleep(for: pause.next()) } catch {
                    throw error.code == .cancelled ? .cancelled() : PagerError(.reactor, "\(error)")
                }
            } else {
                return total
            }
        }
    }

    /// Runs a prefetch of what `choose` finds on the loop's thread.
    func prefetch(
        _ progress: (@Sendable (PrefetchProgress) -> Void)?, isInOrderOfUse: Bool = false,
        of choose: @escaping @Sendable (PagerCore) -> (region: RegionState, runs: [Range<Int>])?
    ) async -> PrefetchProgress {
        let (reactor, core) = (self.reactor, self.core)
        let handle = PrefetchHandle()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                reactor.execute {
                    guard !handle.isCancelled, let (region, runs) = choose(core.value) else {
                        return continuation.resume(returning: PrefetchProgress(pageCount: 0))
                    }
                    handle.number = core.value.prefetch(
                        runs, of: region, isInOrderOfUse: isInOrderOfUse, waiter: continuation,
                        report: progress)
                }
            }
        } onCancel: {
            reactor.execute {
                handle.isCancelled = true
                core.value.cancelPrefetch(handle.number)
            }
        }
    }
}

/// Ties the cancellation of a task to its prefetch.
///
/// `@unchecked Sendable`: touched on the loop's thread only.
private final class PrefetchHandle: @unchecked Sendable {
    var number = 0
    var isCancelled = false
}

extension PagerCore {
    /// What is left to fill.
    struct Survey: Sendable {
        /// The first addresses that are of one region and have missing pages.
        var missing: AddressRange?
        var hasInFlight: Bool
        /// Differs when pages have come, or something has become of them.
        var mark: Int
    }

    func survey(from address: UInt) throws(PagerError) -> Survey {
        guard lifecycle == .serving else { throw .shutDown() }
        var survey = Survey(hasInFlight: statistics.inFlightPages > 0, mark: statistics.events)
        if address == 0 { for region in regions.values { survey.mark += region.table.presentCount } }
        var position = address
        while let start = regions.entry(at: position)?.range.start ?? regions.start(after: position),
            let (piece, region) = regions.entry(at: start)
        {
            if piece.start >= address, region.paging == nil, region.table.hasUnfilled(region.pages(of: piece))
            {
                survey.missing = piece
                return survey
            }
            position = piece.end
        }
        return survey
    }

    /// The pages of a piece, if it is still one.
    func missingPages(in piece: AddressRange) -> (region: RegionState, runs: [Range<Int>])? {
        guard lifecycle == .serving, let (range, region) = regions.entry(at: piece.start),
            let part = range.intersection(piece)
        else { return nil }
        return (region, [region.pages(of: part)])
    }
}

extension FaultTable {
    /// Whether a page of `pages` is missing whose contents are the handler's to give.
    func hasUnfilled(_ pages: Range<Int>) -> Bool {
        var rest = pages
        while !rest.isEmpty, let run = nextMissingRun(in: rest) {
            if fates(of: run).contains(where: { $0.fate == .asAnswered }) { return true }
            rest = run.upperBound..<pages.upperBound
        }
        return false
    }
}
