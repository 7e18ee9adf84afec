import EventReactor
import Userfault

/// The tasks of one snapshot. They run on threads of its own: the application's tasks may all be waiting for pages to be saved.
struct SnapshotSession: Sendable {
    let region: Region
    let target: any SnapshotTarget
    let options: SnapshotOptions
    /// For everything but the saving.
    let workers: WorkerPool
    let savers: WorkerPool
    /// For the pause, which may block, and last for longer than all else; nil where there is none.
    let pausers: WorkerPool?

    private var pager: Pager { region.pager }

    /// Pages in a piece of the staging memory: some tens of microseconds' copying, which a thread that waits to write to another page
    /// may have to wait for.
    private var chunkPages: Int { max(1, 256 << 10 / region.pageSize) }

    private var chunkCount: Int {
        let wanted = options.memoryLimit / (chunkPages * region.pageSize)
        return max(8, min(wanted, region.pageCount / chunkPages + 8))
    }

    func run() async -> Result<SnapshotReport, PagerError> {
        do throws(PagerError) { return .success(try await take()) } catch { return .failure(error) }
    }

    private func take() async throws(PagerError) -> SnapshotReport {
        let begin = ContinuousClock.now
        let staging: Mapping
        do throws(SystemFailure) {
            staging = try Mapping.anonymous(byteCount: chunkCount * chunkPages * region.pageSize)
        } catch {
            throw PagerError(error)
        }
        let board = SnapshotBoard(
            pageCount: region.pageCount, chunkPages: chunkPages, chunkCount: chunkCount)
        let core = try await reserve(board)
        let isBegun = Lock(false)
        let result = await withTaskCancellationHandler {
            do throws(PagerError) {
                try await target.call { try await $0.begin(SnapshotLayout(region)) }
                isBegun.withLock { $0 = true }
                var report = try await save(core, board, staging)
                try await target.call { try await $0.finish() }
                report.total = begin.duration(to: .now)
                return Result<SnapshotReport, PagerError>.success(report)
            } catch {
                return .failure(error)
            }
        } onCancel: {
            pager.reactor.execute { core.value.abort(.cancelled()) }
        }
        guard case .failure(let error) = result else { return try result.get() }
        _ = await end(core, because: error)
        if isBegun.withLock({ $0 }) { await target.abandon() }
        throw error
    }

    /// Makes sure that a snapshot can be taken, and that no other is.
    private func reserve(_ board: SnapshotBoard) async throws(PagerError) -> LoopBound<SnapshotCore> {
        guard pager.access != .userModeOnly || !region.modes.contains(.minor) else {
            throw PagerError(
                .unsupportedOperation,
                "minor faults of system calls, by which pages are copied, are not served with this descriptor",
                range: region.range)
        }
        let present = presentRanges()
        let number = region.number
        let options = self.options
        return try await pager.onCore { core, pager throws(PagerError) in
            let state = try core.watchableRegion(number)
            guard state.table.goneCount == 0 else {
                throw PagerError(
                    .unreadable, "a part of the region has been unmapped or moved; nothing has all of it",
                    range: state.range)
            }
            core.learn(present, of: state)
            return LoopBound(
                try core.reserveSnapshot(of: state, board: board, options: options), on: pager.reactor)
        }
    }

    /// What the region holds already. Asked for memory that somebody else may have put pages into; found out here because it takes
    /// time. Pages that come later are found to be there when the handler has been asked for them.
    private func presentRanges() -> [AddressRange] {
        guard !region.hasOnlySuppliedPages, region.modes.contains(.missing),
            let reader = try? PagemapReader()
        else { return [] }
        var ranges: [AddressRange] = []
        // Before Linux 6.7 there is no telling.
        try? reader.scanPresent(region.range) { ranges.append($0) }
        return ranges
    }

    private func save(
        _ core: LoopBound<SnapshotCore>, _ board: SnapshotBoard, _ staging: Mapping
    ) async throws(PagerError) -> SnapshotReport {
        let reactor = pager.reactor
        let total = try await reachInstant(core, board)
        board.begin(total: total)
        let copier = SnapshotCopier(
            board: board, region: region.range, pageSize: region.pageSize, staging: staging,
            skipsUnreadable: options.unreadablePages == .skip
        ) { runs in
            reactor.execute { core.value.copied(runs) }
        }
        let urgent = Task(executorPreference: workers) { await copier.copyUrgent() }
        let saver = SnapshotSaver(
            copier: copier, target: target, totalPages: total, onProgress: options.onProgress)
        let saving = Task(executorPreference: savers) { await saver.save() }
        board.whenStopped { saving.cancel() }
        let savedPages = await saving.value
        await urgent.value
        // What came first is the reason for the rest.
        if let error = board.failure { throw error }
        var report = await withCheckedContinuation { continuation in
            reactor.execute { core.value.whenOver { continuation.resume(returning: $0) } }
        }
        report.savedPages = savedPages
        report.skipped =
            DirtyPages(report.skipped + copier.unreadable.withLock { $0 }, pageSize: region.pageSize).ranges
        return report
    }

    /// Returns the number of pages to copy.
    private func reachInstant(
        _ core: LoopBound<SnapshotCore>, _ board: SnapshotBoard
    ) async throws(PagerError) -> Int {
        let reactor = pager.reactor
        let total = try await withCheckedContinuation { continuation in
            reactor.execute { core.value.start { continuation.resume(returning: $0) } }
        }.get()
        guard let pausers else { return total }
        try await pauseWriters(on: pausers, board)
        defer { options.resumeWriters?() }
        return try await withCheckedContinuation { continuation in
            reactor.execute { core.value.freeze { continuation.resume(returning: $0) } }
        }.get()
    }

    /// Returns when the writers rest. A snapshot that fails meanwhile does not wait for that: when they do, they are let go on.
    private func pauseWriters(on pausers: WorkerPool, _ board: SnapshotBoard) async throws(PagerError) {
        let pause = WriterPause()
        let task = Task(executorPreference: pausers) { [options] in
            await options.pauseWriters?()
            if !pause.reach() { options.resumeWriters?() }
            // Its thread may be the last to need it.
            withExtendedLifetime(pausers) {}
        }
        board.whenStopped { pause.abandon() }
        guard await !pause.wait() else { return }
        task.cancel()
        throw board.failure ?? .cancelled()
    }

    private func end(_ core: LoopBound<SnapshotCore>, because error: PagerError) async -> SnapshotReport {
        await withCheckedContinuation { continuation in
            pager.reactor.execute {
                core.value.abort(error)
                core.value.whenOver { continuation.resume(returning: $0) }
            }
        }
    }
}
