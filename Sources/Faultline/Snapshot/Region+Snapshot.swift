internal import EventReactor

extension Region {
    /// Writes an image of the region to `target`: as it is at one instant, while its threads go on writing.
    ///
    /// All pages are write-protected, in slices while writes are let through, at last in one short step, whose end is the
    /// instant that the image shows. Then they are copied, from the first to the last. A thread that writes to a page that
    /// has not been copied waits until it has been, before all others. What fork(2) and a child that writes its memory are used for, without
    /// the copy of the page tables, and with bounded memory.
    ///
    /// Any task. The work is done on two threads of its own and on the reactor's, so that it goes on when all threads of Swift's
    /// pool wait for pages to be copied. Cancelling the task ends it; so do a shutdown of the pager and the unmapping of the region.
    /// However it ends, protection is lifted and no thread waits.
    ///
    /// The region's modes must include `writeProtect`, and its pager must not use asynchronous write-protection. Protection that the
    /// handler had asked for is lifted as pages are copied, and requests of kind `writeProtect` do not reach it meanwhile.
    /// The region may be tracked (``trackDirty()``): the tracker goes on.
    ///
    /// - Note: Writes that pass by the page table are not held up: through another mapping of shared memory, or by a device
    ///   into pages that were pinned before. Pages that are dropped (madvise(2)) after the instant, and before they are
    ///   copied, are supplied anew by the handler. Where only faults in user mode are served (``Pager/access``), system calls that
    ///   write to a page that is not copied yet fail with `EFAULT`.
    ///
    /// - Parameters:
    ///   - target: where the image goes.
    ///   - options: what to do about pages that are missing or cannot be read, and how much memory to use.
    /// - Returns: what was done, and how long threads had to wait.
    /// - Throws: ``PagerError``: `unsupportedOperation` for a region or pager without the above, `busy` while another snapshot of the
    ///   region is taken, `targetFailed` with what the target threw, `unreadable`, `cancelled`, `shutDown`, `kernel`, `system`.
    public func snapshot(
        to target: any SnapshotTarget, options: SnapshotOptions = SnapshotOptions()
    ) async throws(PagerError) -> SnapshotReport {
        let workers: WorkerPool
        let savers: WorkerPool
        let pausers: WorkerPool?
        do throws(ReactorError) {
            workers = try WorkerPool(threads: 1, name: "snapshot copier")
            savers = try WorkerPool(threads: 1, name: "snapshot saver")
            pausers = try options.pauseWriters.map { _ throws(ReactorError) in
                try WorkerPool(threads: 1, name: "snapshot pause")
            }
        } catch {
            throw PagerError(.reactor, "no threads for a snapshot: \(error)")
        }
        let session = SnapshotSession(
            region: self, target: target, options: options, workers: workers, savers: savers,
            pausers: pausers)
        let task = Task(executorPreference: workers) { await session.run() }
        let result = await withTaskCancellationHandler {
            await task.value
        } onCancel: {
            task.cancel()
        }
        return try result.get()
    }
}

extension SnapshotLayout {
    init(_ region: Region) {
        byteCount = region.byteCount
        pageSize = region.pageSize
    }
}
