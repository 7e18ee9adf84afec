/// Neighbouring pages of which a scan says the same: `struct page_region`.
public struct PageRun: Hashable, Sendable, CustomStringConvertible {
    /// Where they are; whole pages.
    public var range: AddressRange

    /// What is true of them, of that which the scan was to return.
    public var categories: PageCategories

    /// Puts a run together.
    public init(range: AddressRange, categories: PageCategories) {
        self.range = range
        self.categories = categories
    }

    /// For instance `0x7f0000000000..<0x7f0000004000 [written]`.
    public var description: String { "\(range) \(categories)" }
}

/// How far a scan came.
public struct PageScan: Hashable, Sendable {
    /// The number of runs that were found, which are now in the ``PageRuns``.
    public var runCount: Int

    /// The address where the walk ended. Before the end of the range where the room for runs, or the limit of pages, was
    /// used up: go on from there.
    public var walkEnd: UInt

    /// Puts a result together.
    public init(runCount: Int, walkEnd: UInt) {
        self.runCount = runCount
        self.walkEnd = walkEnd
    }
}

/// What `/proc/PID/pagemap` says of one page.
public struct PagemapEntry: RawRepresentable, Hashable, Sendable {
    /// The 64 bits of the kernel.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Bit 63: in memory.
    public var isPresent: Bool { rawValue & 1 << 63 != 0 }
    /// Bit 62: in swap; also where there is a marker, such as the protection of a page that is not there.
    public var isSwapped: Bool { rawValue & 1 << 62 != 0 }
    /// Bit 61: of a file or of shared memory.
    public var isFile: Bool { rawValue & 1 << 61 != 0 }
    /// Bit 57: write-protected by userfaultfd.
    public var isWriteProtected: Bool { rawValue & 1 << 57 != 0 }
    /// Bit 56: mapped once only, here.
    public var isExclusive: Bool { rawValue & 1 << 56 != 0 }
    /// Bit 55: written since the soft-dirty bits were cleared.
    public var isSoftDirty: Bool { rawValue & 1 << 55 != 0 }
    /// Bits 0 to 54, where present: the number of the page frame; 0 without `CAP_SYS_ADMIN`.
    public var frame: UInt64 { rawValue & (1 << 55 - 1) }
}
