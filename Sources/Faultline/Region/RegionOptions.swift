public import Userfault

/// Choices for one region.
public struct RegionOptions: Sendable {
    /// A name for messages and reports, such as ``FaultFailure/region``.
    public var name: String
    /// What becomes of threads whose page cannot be supplied.
    public var failurePolicy: FailurePolicy
    /// The most pages one request may span when neighbours fault together; 256 by default, at least 1.
    public var maximumRequestPages: Int
    /// How many pages a thread installs at a fault that it resolves itself (``ResolutionMode/inThread``): the one it touched, and
    /// those behind it that are not there; 1 by default, from 1 to 512.
    public var pagesPerFault: Int
    /// Whether a forked child gets a copy of memory that the pager maps. Off, the child has nothing mapped there
    /// (`MADV_DONTFORK`); on, pages that were not there when it was forked read as zero in it, unless it is served
    /// (``ForkPolicy``).
    public var isInheritedByFork: Bool
    /// How far the region is filled ahead of its readers; not at all by default.
    public var readAhead: ReadAheadPolicy
    /// Which faults the region's handler is asked about: missing pages, minor faults (shared memory and huge pages only),
    /// writes to protected pages, and combinations. Missing pages by default.
    public var modes: RegistrationModes
    /// Whether memory that the pager maps is made of pages of 2 MiB, which the system must have reserved
    /// (`vm.nr_hugepages`).
    public var usesHugePages: Bool

    /// Whether pages of a ``PageBuffer`` that turn out to be all zero are installed as zero pages (`UFFDIO_ZEROPAGE`), which take no
    /// memory until they are written to. Looking costs the reactor's thread some tens of nanoseconds for a page that is zero,
    /// and next to nothing for others. Off by default; handlers that know of zeroes answer ``Resolution/zero``.
    public var findsZeroPages: Bool

    /// Whether aligned pieces of 2 MiB that are filled at once become transparent huge pages: read-ahead and prefetches ask for such
    /// pieces, if they may ask for so much, and where the answer is a ``PageBuffer``, or is copied from a ``PageSource`` in memory,
    /// its bytes are put together in a huge page, which is moved to its place (`UFFDIO_MOVE`, 6.8). That takes less than half as
    /// long as copying 512 pages, and readers need one entry of the translation buffer. Pages are asked for, written and dropped
    /// one by one as before; the memory of a huge page is free when all of its pages are.
    ///
    /// Off by default. Without effect on memory that is not private and anonymous, is made of huge pages anyway
    /// (``usesHugePages``), lies over a store, is being tracked or copied, or belongs to another process; and where the
    /// kernel has no huge page at hand, or makes none (`/sys/kernel/mm/transparent_hugepage/enabled`).
    public var fillsHugePages: Bool

    /// What becomes of pages whose contents the application drops (madvise(2) with `MADV_DONTNEED`, `MADV_FREE` or
    /// `MADV_REMOVE`), when the pager is told of it (``AddressSpaceEvents/remove``).
    public enum RemovedPages: Hashable, Sendable {
        /// They read as zero, as memory does that nobody serves; answers that are under way for them are replaced. The handler
        /// is not asked about them again, except for minor faults: what the page cache holds is its matter.
        case zero
        /// The handler is asked again at the next touch. An answer that was under way is taken.
        case askHandler
    }

    /// What becomes of pages whose contents the application drops.
    public var removedPages: RemovedPages

    /// Options with defaults. The parameters are the properties of the same names.
    public init(
        name: String = "region", failurePolicy: FailurePolicy = .poison, maximumRequestPages: Int = 256,
        pagesPerFault: Int = 1, isInheritedByFork: Bool = false, readAhead: ReadAheadPolicy = .none,
        modes: RegistrationModes = .missing, usesHugePages: Bool = false, removedPages: RemovedPages = .zero,
        findsZeroPages: Bool = false, fillsHugePages: Bool = false
    ) {
        self.name = name
        self.failurePolicy = failurePolicy
        self.maximumRequestPages = max(maximumRequestPages, 1)
        self.pagesPerFault = min(max(pagesPerFault, 1), 512)
        self.isInheritedByFork = isInheritedByFork
        self.readAhead = readAhead
        self.modes = modes
        self.usesHugePages = usesHugePages
        self.removedPages = removedPages
        self.findsZeroPages = findsZeroPages
        self.fillsHugePages = fillsHugePages
    }
}
