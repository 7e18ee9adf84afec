public import EventReactor
public import Userfault

/// What ``Region/collapse(_:on:)`` has done.
public struct CollapseReport: Hashable, Sendable {
    /// Huge pages that are there now, whether they were before or not.
    public var hugePages = 0
    /// Pieces of 2 MiB that are not one: some of their pages are missing, protected, zero pages of the kernel's
    /// (``Resolution/zero``), or in somebody's hands.
    public var skipped = 0

    /// A report of nothing, unless you say otherwise. The parameters are the properties of the same names.
    public init(hugePages: Int = 0, skipped: Int = 0) {
        self.hugePages = hugePages
        self.skipped = skipped
    }
}

extension Region {
    /// Puts pages that are there together to huge pages (madvise(2), `MADV_COLLAPSE`, Linux 6.1): memory that was restored page
    /// by page then costs as few entries of the translation buffer as if it had been made of huge pages. Each piece of 2 MiB,
    /// aligned to that, of which all pages are there becomes one; missing pages stay missing, and are not asked for. Threads that
    /// touch a piece meanwhile wait for its copy, less than a millisecond.
    ///
    /// Any task; the work is done on `workers`. Whoever drops a page of a huge page later makes small ones of it again; their memory
    /// is free only when all of them have gone, or when the kernel is short of it. So regions with a ``MemoryBudget``, whose pages
    /// leave one by one, are refused: they would take more than the budget allows.
    ///
    /// - Parameters:
    ///   - part: addresses of the region; nil for all.
    ///   - workers: one thread of it is busy with this, 0.2 ms or more for each piece.
    /// - Returns: how much of it is huge pages now. Cancelling the task ends it early.
    /// - Throws: ``PagerError``: the region is not private memory of ordinary pages (`unsupportedMemory`) or has a memory budget
    ///   (`unsupportedOperation`), `part` is not of it (`invalidRange`), or there is no memory (`system`).
    @discardableResult
    public func collapse(
        _ part: AddressRange? = nil, on workers: WorkerPool
    ) async throws(PagerError) -> CollapseReport {
        let part = part ?? range
        guard !part.isEmpty, range.contains(part) else {
            throw PagerError(.invalidRange, "only what is of the region can be collapsed", range: part)
        }
        guard memoryKind == .privateAnonymous else {
            throw PagerError(
                .unsupportedMemory, "only private memory of ordinary pages can be collapsed", range: part)
        }
        guard !hasBudget else {
            throw PagerError(
                .unsupportedOperation,
                "pages that leave memory one by one free none of a huge page's; map the region without a memory "
                    + "budget to collapse it", range: part)
        }
        let size = RegionState.hugePageSize
        let mask = UInt(size - 1)
        let cancellation = Lock(false)
        let mapping = self.mapping
        let result = await withTaskCancellationHandler {
            await workers.run { () -> Result<CollapseReport, PagerError> in
                var report = CollapseReport()
                var start = (part.start + mask) & ~mask
                while start <= part.end, part.end - start >= UInt(size), !cancellation.withLock({ $0 }) {
                    switch mapping.collapse(AddressRange(start: start, byteCount: size)) {
                    case .done: report.hugePages += 1
                    case .notPossible: report.skipped += 1
                    case .noMemory:
                        return .failure(PagerError(.system, "there is no memory for huge pages", range: part))
                    case .failed(let number):
                        return .failure(
                            PagerError(.system, "MADV_COLLAPSE is refused: errno \(number)", range: part))
                    }
                    start += UInt(size)
                }
                return .success(report)
            }
        } onCancel: {
            cancellation.withLock { $0 = true }
        }
        return try result.get()
    }
}
