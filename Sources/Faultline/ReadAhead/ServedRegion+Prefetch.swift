internal import EventReactor
public import Userfault

extension ServedRegion {
    /// Fills pages that nobody waits for yet, in ascending order, and returns when what has been answered is there. Pages that are
    /// there or being supplied are passed over. Any thread; cancelling the task ends it early.
    ///
    /// Faults go first. While no thread faults, or only on the pages that come next anyway, up to four requests of 256 pages are under
    /// way (two of 512 where huge pages are filled: ``RegionOptions/fillsHugePages``). While threads do, on any region of the same
    /// reactor, that becomes less with every answer, down to a single request of 256 KiB (or one page, if that is larger), unless the time of the answers shows that the store takes no longer for more. In each turn of the reactor what threads
    /// wait for is installed first, and some 256 pages of the rest (`UFFDIO_COPY`). A handler that answers at once is asked for one
    /// chunk in a turn.
    ///
    /// A handler sees requests whose ``FaultRequest/demand`` is empty. What it fails to supply is no harm: those pages come when
    /// somebody touches them.
    ///
    /// - Parameters:
    ///   - part: whole pages of the region, as addresses; nil for all.
    ///   - progress: told after each chunk, on the reactor's thread: it must not block, nor touch a region.
    /// - Returns: what was done.
    /// - Throws: ``PagerError`` when the region is not served any more, or `part` is not of it.
    @discardableResult
    public func prefetch(
        _ part: AddressRange? = nil, progress: (@Sendable (PrefetchProgress) -> Void)? = nil
    ) async throws(PagerError) -> PrefetchProgress {
        let part = part ?? range
        guard !part.isEmpty, part.isAligned(to: pageSize), range.contains(part) else {
            throw PagerError(.invalidRange, "only whole pages of the region can be prefetched", range: part)
        }
        let first = Int(part.start - range.start) / pageSize
        return try await run([first..<first + part.byteCount / pageSize], progress)
    }

    /// Fills the pages of a trace in its order, those that come close together in one go: the working set of a program is
    /// there before it asks. Otherwise as ``prefetch(_:progress:)-(AddressRange?,_)``.
    ///
    /// - Parameters:
    ///   - trace: recorded with ``startRecording()`` on a region of the same contents and page size. Pages beyond this region's
    ///     end are left out.
    ///   - progress: told after each chunk, on the reactor's thread.
    /// - Returns: what was done.
    /// - Throws: ``PagerError`` when the region is not served any more, or the pages of the trace have another size.
    @discardableResult
    public func prefetch(
        _ trace: TouchTrace, progress: (@Sendable (PrefetchProgress) -> Void)? = nil
    ) async throws(PagerError) -> PrefetchProgress {
        guard trace.pageSize == pageSize else {
            throw PagerError(
                .invalidRange,
                "the trace is of pages of \(trace.pageSize) bytes, the region has pages of \(pageSize)",
                range: range)
        }
        let all = 0..<pageCount
        let runs = trace.runs.map { $0.clamped(to: all) }.filter { !$0.isEmpty }
        return try await run(runs, isInOrderOfUse: true, progress)
    }

    /// As ``prefetch(_:progress:)-(AddressRange?,_)``, without waiting for it (what `MADV_WILLNEED` asks for). Any thread; does not
    /// block.
    ///
    /// - Parameter part: whole pages of the region; what lies outside of it is left out.
    public func willNeed(_ part: AddressRange) {
        guard let part = range.intersection(part) else { return }
        let first = Int(part.start - range.start) / pageSize
        let end = (Int(part.end - range.start) + pageSize - 1) / pageSize
        let number = self.number
        let core = pager.core
        pager.reactor.execute {
            guard let region = core.value.servedRegion(number) else { return }
            _ = core.value.prefetch([first..<end], of: region, waiter: nil, report: nil)
        }
    }

    /// Begins to note the order in which pages of the region are first touched; what was noted before is dropped. Pages that are
    /// there already are not seen, and nothing is filled ahead meanwhile: it would hide touches. Any thread; goes to the
    /// reactor's thread and back.
    ///
    /// - Throws: ``PagerError`` when the region is not served any more.
    public func startRecording() async throws(PagerError) {
        let (number, pageSize) = (self.number, self.pageSize)
        try await pager.onCore { core, _ throws(PagerError) in
            guard let region = core.servedRegion(number) else { throw .shutDown() }
            region.changeWatch { $0.recording = TouchTrace(pageSize: pageSize) }
        }
    }

    /// Ends what ``startRecording()`` began. Any thread; goes to the reactor's thread and back.
    ///
    /// - Returns: what was touched; nothing when no recording was under way.
    /// - Throws: ``PagerError`` when the region is not served any more.
    public func stopRecording() async throws(PagerError) -> TouchTrace {
        let (number, pageSize) = (self.number, self.pageSize)
        return try await pager.onCore { core, _ throws(PagerError) in
            guard let region = core.servedRegion(number) else { throw .shutDown() }
            return region.changeWatch { watch in
                defer { watch.recording = nil }
                return watch.recording ?? TouchTrace(pageSize: pageSize)
            }
        }
    }

    private func run(
        _ runs: [Range<Int>], isInOrderOfUse: Bool = false,
        _ progress: (@Sendable (PrefetchProgress) -> Void)?
    ) async throws(PagerError) -> PrefetchProgress {
        let number = self.number
        try await pager.onCore { core, _ throws(PagerError) in
            guard core.lifecycle == .serving, core.servedRegion(number) != nil else { throw .shutDown() }
        }
        return await pager.prefetch(progress, isInOrderOfUse: isInOrderOfUse) { core in
            core.servedRegion(number).map { ($0, runs) }
        }
    }
}
