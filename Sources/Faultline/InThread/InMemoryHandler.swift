/// A handler whose contents are in memory already, so that a thread can install its own pages from there.
///
/// In a pager that resolves in-thread (``ResolutionMode/inThread``) the faults of its regions do not reach the reactor,
/// nor the handler, except for what cannot be done in the thread: then it is asked, as any other handler is. In other
/// pagers this makes no difference.
///
/// ``MemoryHandler``, ``ZeroFillHandler`` and ``FileHandler`` (where it maps the file) are handlers of this kind.
public protocol InMemoryHandler: FaultHandler {
    /// Where the contents are; nil when they are not in memory. Asked once, when a region is mapped, on the reactor's
    /// thread. What ``FaultHandler/resolveNow(_:)`` answers must be the same.
    var inThreadSource: InThreadSource? { get }
}

/// Where a thread that faults finds the contents of missing pages. Minor faults map the page that is there
/// (`UFFDIO_CONTINUE`), whatever the source.
public enum InThreadSource: Sendable {
    /// In `source`, from the byte `startingAt` on, which the region begins with; behind its end they are zero (`UFFDIO_COPY`,
    /// `UFFDIO_ZEROPAGE`). The page in which the source ends, if that is within a page, is asked of the handler.
    ///
    /// - Precondition: `startingAt` is not negative.
    case bytes(PageSource, startingAt: Int = 0)
    /// They are all zero (`UFFDIO_ZEROPAGE`; for a write, a page of zeroes is copied).
    case zero
    /// Missing pages are asked of the handler; only existing ones are mapped by threads.
    case existing
}

extension MemoryHandler: InMemoryHandler {
    /// The bytes of the source.
    public var inThreadSource: InThreadSource? { .bytes(source, startingAt: baseOffset) }
}

extension ZeroFillHandler: InMemoryHandler {
    /// Zeroes.
    public var inThreadSource: InThreadSource? { .zero }
}

extension FileHandler: InMemoryHandler {
    /// The mapped file; nil where it is read. A page that is not in the page cache is read from the disk by the thread
    /// that needs it, and holds up nobody else.
    public var inThreadSource: InThreadSource? { mappedBytes?.inThreadSource }
}
