/// What the kernel can say of a page in ``PagemapScanner/scan(_:requiring:anyOf:inverting:returning:options:pageLimit:into:)``:
/// the `PAGE_IS_*` bits.
public struct PageCategories: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `PAGE_IS_WPALLOWED`: registered for asynchronous write-protection.
    public static let writeProtectAllowed = PageCategories(rawValue: 1 << 0)
    /// `PAGE_IS_WRITTEN`: not write-protected (any more): written since it was protected, or dropped since.
    public static let written = PageCategories(rawValue: 1 << 1)
    /// `PAGE_IS_FILE`: of a file or of shared memory.
    public static let file = PageCategories(rawValue: 1 << 2)
    /// `PAGE_IS_PRESENT`: in memory.
    public static let present = PageCategories(rawValue: 1 << 3)
    /// `PAGE_IS_SWAPPED`: in swap, or a marker where nothing is.
    public static let swapped = PageCategories(rawValue: 1 << 4)
    /// `PAGE_IS_PFNZERO`: the shared page of zeroes.
    public static let zeroPage = PageCategories(rawValue: 1 << 5)
    /// `PAGE_IS_HUGE`: mapped as a huge page, transparent or of hugetlbfs.
    public static let huge = PageCategories(rawValue: 1 << 6)
    /// `PAGE_IS_SOFT_DIRTY`: written since the soft-dirty bits were cleared.
    public static let softDirty = PageCategories(rawValue: 1 << 7)
    /// `PAGE_IS_GUARD` (6.15): a guard region.
    public static let guardRegion = PageCategories(rawValue: 1 << 8)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension PageCategories: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "writeProtectAllowed"), (bits: 1 << 1, name: "written"),
            (bits: 1 << 2, name: "file"), (bits: 1 << 3, name: "present"), (bits: 1 << 4, name: "swapped"),
            (bits: 1 << 5, name: "zeroPage"), (bits: 1 << 6, name: "huge"), (bits: 1 << 7, name: "softDirty"),
            (bits: 1 << 8, name: "guardRegion"),
        ]
    }
}

/// What a scan does besides looking: the `PM_SCAN_*` bits.
public struct PageScanOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `PM_SCAN_WP_MATCHING`: write-protects each page that it reports, in the same step: a write either is reported now or
    /// will be next time. With ``PageCategories/written`` required, that is "get and reset". Memory that is not registered for
    /// asynchronous write-protection is left out.
    public static let writeProtectMatching = PageScanOptions(rawValue: 1 << 0)
    /// `PM_SCAN_CHECK_WPASYNC`: fails with `EPERM` where part of the range is not registered for asynchronous
    /// write-protection, instead of leaving it out.
    public static let requireAsynchronousWriteProtect = PageScanOptions(rawValue: 1 << 1)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension PageScanOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "writeProtectMatching"),
            (bits: 1 << 1, name: "requireAsynchronousWriteProtect"),
        ]
    }
}
