public import Userfault

/// Tells which pages of a range were written.
///
/// ```swift
/// let tracker = try await region.trackDirty()
/// // … threads write …
/// let written = try await tracker.collect()    // since the start, and the count begins anew
/// ```
///
/// There are two engines, with the same answers and different costs:
///
/// | | ``Engine/messages`` | ``Engine/asynchronous`` |
/// |---|---|---|
/// | who notes a write | the pager, on the reactor's thread | the kernel |
/// | the first write to a page after a collection | a message and two thread switches | an ordinary fault |
/// | a collection | costs by the pages that were written | looks through the whole range (`PAGEMAP_SCAN`) |
/// | needs | Linux 5.7, and 6.4 for empty private memory | Linux 6.7 |
/// | the region can have snapshots taken | yes | no |
///
/// Dropping pages with madvise(2) is not a write to the first; to the second it can be one. Writes that pass by the page table are
/// seen by neither: through another mapping of shared memory, or by a device into pages that were pinned before.
///
/// Any thread may use a tracker. It ends with ``stop()``, when it is let go of, and with the service of its region.
public final class DirtyTracker: Sendable {
    /// Who notes the writes.
    public enum Engine: Hashable, Sendable {
        /// Each first write to a page sends a message (`UFFDIO_WRITEPROTECT`).
        case messages
        /// The kernel lifts the protection by itself, and `PAGEMAP_SCAN` finds where.
        case asynchronous
    }

    /// Who notes the writes.
    public let engine: Engine
    /// What is tracked.
    public let range: AddressRange
    /// The size of a page in bytes.
    public let pageSize: Int
    private let source: any DirtySource

    init(engine: Engine, range: AddressRange, pageSize: Int, source: any DirtySource) {
        self.engine = engine
        self.range = range
        self.pageSize = pageSize
        self.source = source
    }

    deinit { source.end() }

    /// The pages that were written since the last collection, or since the tracking began; the count begins anew. No write is
    /// lost: one that happens during the call is in this collection or in the next.
    ///
    /// Any task; several calls share out the pages among them. With messages it goes to the reactor's thread, which serves other
    /// faults meanwhile (`UFFDIO_WRITEPROTECT` for each run of pages). With the asynchronous engine it holds the calling thread
    /// for as long as the kernel looks through the range (`PAGEMAP_SCAN`), some milliseconds for a gigabyte.
    ///
    /// - Throws: ``PagerError``: `shutDown` when the tracking has ended, `kernel` when the kernel refuses. The pages are
    ///   not lost: the next collection that succeeds has them.
    public func collect() async throws(PagerError) -> DirtyPages {
        DirtyPages(sorted: try await source.collect(), pageSize: pageSize)
    }

    /// The pages that were written since the last collection, which are left as they are. Otherwise as ``collect()``.
    ///
    /// - Throws: as ``collect()``.
    public func peek() async throws(PagerError) -> DirtyPages {
        DirtyPages(sorted: try await source.peek(), pageSize: pageSize)
    }

    /// Ends the tracking, and returns when no page is protected because of it; a snapshot that is being taken keeps its own
    /// protection. Protection that the region's handler had asked for is lifted too. Any task; later calls do nothing.
    public func stop() async { await source.stop() }
}

/// Where a tracker has its answers from.
protocol DirtySource: AnyObject, Sendable {
    /// Ranges in ascending order, merged.
    func collect() async throws(PagerError) -> [AddressRange]
    func peek() async throws(PagerError) -> [AddressRange]
    func stop() async
    /// As `stop`, without waiting.
    func end()
}

extension Region {
    /// Begins to track which pages are written; returns when every write from now on is noted. Any task; goes to the reactor's
    /// thread, which serves faults while the pages are protected (`UFFDIO_WRITEPROTECT`).
    ///
    /// The region's modes must include `writeProtect`. The engine is that of its pager
    /// (``Pager/Configuration/writeProtection``). Pages that the handler supplies meanwhile are not written: they come
    /// protected, and only a thread's write makes them dirty. Requests of kind `writeProtect` do not reach the handler until
    /// the tracking ends. Missing pages are not supplied by moving, and zeroes take memory, meanwhile.
    ///
    /// - Throws: ``PagerError``: `unsupportedOperation` for a region without that mode, `busy` when it is being tracked already,
    ///   `shutDown`, `kernel`.
    public func trackDirty() async throws(PagerError) -> DirtyTracker {
        try await startTracking()
    }
}
