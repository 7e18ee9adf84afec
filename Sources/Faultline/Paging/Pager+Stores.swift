internal import EventReactor
internal import Userfault

extension Pager {
    /// Maps fresh private memory whose contents come from a store and go back to it: what mmap(2) does with a shared file, with
    /// a store, a page size's worth of read-ahead and a cache of your own choosing. Any thread; goes to the reactor's thread
    /// and back (mmap(2), `UFFDIO_REGISTER`).
    ///
    /// Pages that threads write to are noticed (`UFFDIO_WRITEPROTECT`) and written to the store when they leave memory for
    /// others, with ``Region/flush()``, and when the region is unmapped or the pager shuts down. If the store fails, they stay,
    /// the owner is told (``Pager/Configuration/onFailure``), and they are written again after a pause. Pages that the program
    /// drops (`MADV_DONTNEED`) come from the store again, without what had been written to them since they last went there.
    ///
    /// - Parameters:
    ///   - store: where pages come from and go to. What the region is over must not be changed by anybody else meanwhile.
    ///   - baseOffset: where in the store the region begins, in bytes.
    ///   - byteCount: the length in bytes, rounded up to pages; nil for the rest of the store. What threads write behind the
    ///     store's end, in its last page, stays in memory.
    ///   - budget: how much memory the region's pages may take, alone or together with other regions of this pager; nil for as
    ///     much as they need.
    ///   - options: name, failure policy, limits and read-ahead. The modes are `missing` and `writeProtect` in any case.
    /// - Throws: ``PagerError`` when the length does not fit the store, the budget is in use by another pager, or the kernel
    ///   refuses memory or registration, as it does before Linux 5.7.
    public func map(
        store: some PageStore, startingAt baseOffset: Int = 0, byteCount: Int? = nil,
        budget: MemoryBudget? = nil, options: RegionOptions = RegionOptions()
    ) async throws(PagerError) -> Region {
        try await onCore { core, pager throws(PagerError) in
            Region(
                state: try core.map(
                    store, baseOffset: baseOffset, byteCount: byteCount, budget: budget, options: options),
                pager: pager)
        }
    }

    /// How many bytes of a budget are in use now: pages in memory, and those that are being read. Any thread; goes to the
    /// reactor's thread and back.
    ///
    /// - Parameter budget: one of this pager's regions; any other is not in use.
    public func usedByteCount(of budget: MemoryBudget) async -> Int {
        await reactor.run { [core] in
            (core.value.budgets[ObjectIdentifier(budget)]?.used ?? 0) * RegionState.systemPageSize
        }
    }

    /// Takes a region out of service: its handlers' tasks are cancelled, pages that were never supplied raise SIGBUS
    /// from now on, threads that wait are let go (to find just that). The memory stays mapped as long as the
    /// ``Region`` lives. Any thread; goes to the reactor's thread and back (`UFFDIO_POISON`, `UFFDIO_UNREGISTER`,
    /// `UFFDIO_WAKE`).
    ///
    /// What was written to a region over a store goes to the store first. What did not get there stays in the region's memory,
    /// where it can be read as long as the ``Region`` lives.
    ///
    /// - Parameters:
    ///   - region: one of this pager's.
    ///   - deadline: how long the store may take, from now on.
    /// - Throws: ``PagerError`` when the region is not one of this pager, or was unmapped before; and
    ///   ``PagerError/Code/notWritten`` when something did not get to the store. The region is out of service then too.
    public func unmap(_ region: Region, within deadline: Duration = .seconds(5)) async throws(PagerError) {
        let number = try number(of: region)
        let error = await withCheckedContinuation { continuation in
            reactor.execute { [core] in
                core.value.unmap(number, within: deadline) { continuation.resume(returning: $0) }
            }
        }
        if let error { throw error }
    }
}

extension Region {
    /// Returns when everything that was written to the region before the call is durable in its store
    /// (``PageStore/write(_:)``, ``PageStore/flush()``). Threads go on reading and writing meanwhile; pages stay in memory.
    /// Any thread but the reactor's, several at a time; suspends the task. Cancelling it does not stop the writing.
    ///
    /// - Throws: ``PagerError`` with the ranges of which that is not so (``PagerError/Code/notWritten``); they stay in memory and
    ///   are written again. Also when the region is not over a store, or not served any more.
    public func flush() async throws(PagerError) {
        let number = self.number
        let result = await withCheckedContinuation { continuation in
            pager.reactor.execute { [core = pager.core] in
                core.value.flush(number) { continuation.resume(returning: $0) }
            }
        }
        try result.get()
    }
}
