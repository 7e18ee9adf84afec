import Userfault

/// Saves the pages of a snapshot: copies them in order, and hands them, and what the other task has copied, to the target.
///
/// One after the other, and not both at a time: what the application's threads have processors for is theirs.
struct SnapshotSaver: Sendable {
    let copier: SnapshotCopier
    let target: any SnapshotTarget
    let totalPages: Int
    let onProgress: (@Sendable (SnapshotProgress) -> Void)?

    private var board: SnapshotBoard { copier.board }

    /// Returns the number of pages that the target has taken.
    func save() async -> Int {
        // Whoever lets writers go, and the writers themselves, come before this.
        BulkThread.begin()
        var savedPages = 0
        do throws(PagerError) { try await save(&savedPages) } catch { board.stop(error) }
        return savedPages
    }

    private func save(_ savedPages: inout Int) async throws(PagerError) {
        var done: Int?
        while true {
            let work = board.nextSave(done: done)
            done = nil
            switch work {
            case .chunk(let chunk):
                try await write(chunk, &savedPages)
                done = chunk.index
            case .run(let pages):
                let rest = try writeDirectly(pages, &savedPages)
                guard !rest.isEmpty else { break }
                var chunk = StagedChunk(index: 0)
                try copier.copy(rest, into: &chunk)
                try await write(chunk, &savedPages)
            case .none:
                await board.waitForSave()
            case .finished:
                return
            case .stopped(let error):
                throw error
            }
        }
    }

    /// Has the target take pages from where they lie, which spares their copying. Returns those that could not be read.
    ///
    /// Some of the pages may have been copied for a thread, and written by it, before the target came to them. Their copies
    /// are written after this, by the same task.
    private func writeDirectly(
        _ pages: Range<Int>, _ savedPages: inout Int
    ) throws(PagerError) -> Range<Int> {
        guard let target = target as? any DirectSnapshotTarget, target.takesMemory else { return pages }
        var rest = pages
        while let run = board.firstUncopied(in: rest) {
            let count: Int
            do {
                count = try target.write(
                    memoryAt: copier.range(of: run), at: run.lowerBound * copier.pageSize)
            } catch {
                throw .targetFailed(error)
            }
            let taken = run.prefix(count / copier.pageSize)
            savedPages += copier.release(taken)
            rest = taken.upperBound..<rest.upperBound
            guard taken.count == run.count else { return rest }
            report(savedPages)
        }
        return rest.upperBound..<rest.upperBound
    }

    private func report(_ savedPages: Int) {
        onProgress?(SnapshotProgress(savedPages: savedPages, totalPages: totalPages))
    }

    private func write(_ chunk: StagedChunk, _ savedPages: inout Int) async throws(PagerError) {
        for run in chunk.runs {
            let offset = (chunk.index * board.chunkPages + run.slot) * copier.pageSize
            try await target.call { target in
                try await copier.staging.withBytes(offset..<offset + run.pages.count * copier.pageSize) {
                    bytes in
                    try await target.write(bytes, at: run.pages.lowerBound * copier.pageSize)
                }
            }
            savedPages += run.pages.count
            report(savedPages)
        }
    }
}

extension SnapshotTarget {
    /// Calls the target, and makes its errors those of the snapshot.
    func call(_ body: (Self) async throws -> Void) async throws(PagerError) {
        do {
            try await body(self)
        } catch is CancellationError where Task.isCancelled {
            throw .cancelled()
        } catch {
            throw .targetFailed(error)
        }
    }
}
