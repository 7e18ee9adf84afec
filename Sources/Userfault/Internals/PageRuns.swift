internal import CUserfaultfd

/// Room for what a scan finds, made once and used again and again; a run takes 24 bytes.
///
/// Sendable: the memory has one owner, which cannot be copied, and nothing else points to it.
@safe
public struct PageRuns: ~Copyable, @unchecked Sendable {
    private let memory: UnsafeMutableBufferPointer<cuserfaultfd_page_region>

    /// The number of runs that the last scan found.
    public private(set) var count = 0

    /// Makes room for `capacity` runs. The only call here that allocates.
    ///
    /// - Precondition: `capacity` is positive.
    public init(capacity: Int = 256) {
        precondition(capacity > 0, "a scan needs room for a run")
        unsafe memory = UnsafeMutableBufferPointer.allocate(capacity: capacity)
        unsafe memory.initialize(repeating: cuserfaultfd_page_region())
    }

    deinit {
        unsafe memory.deallocate()
    }

    /// The most runs that one scan finds.
    public var capacity: Int { unsafe memory.count }

    /// The run at `index`.
    ///
    /// - Precondition: `index` is at least 0 and less than ``count``.
    public subscript(index: Int) -> PageRun {
        precondition(index >= 0 && index < count, "no run at \(index)")
        let region = unsafe memory[index]
        return PageRun(
            range: AddressRange(
                start: UInt(region.start), byteCount: Int(clamping: region.end &- region.start)),
            categories: PageCategories(rawValue: region.categories))
    }

    /// Scans into this room; an errno, or where the walk ended.
    mutating func fill(
        from descriptor: CInt, _ range: AddressRange, _ options: PageScanOptions,
        _ filter: (
            inverted: PageCategories, required: PageCategories, alternatives: PageCategories,
            wanted: PageCategories
        ), _ pageLimit: Int
    ) -> (error: CInt, walkEnd: UInt) {
        count = 0
        let answer = unsafe cuserfaultfd_pagemap_scan(
            descriptor, UInt64(range.start), UInt64(range.end), options.rawValue, UInt64(pageLimit),
            filter.inverted.rawValue, filter.required.rawValue, filter.alternatives.rawValue,
            filter.wanted.rawValue, memory.baseAddress, UInt64(memory.count))
        count = Int(answer.count)
        return (answer.error, UInt(answer.walk_end))
    }
}

extension Kernel {
    /// The pagemap of a process, 0 for this one; or a negated errno.
    static func openPagemap(_ process: Int32) -> CInt {
        cuserfaultfd_pagemap_open(process)
    }

    static func pagemapEntry(_ descriptor: CInt, _ address: UInt) -> (error: CInt, entry: PagemapEntry) {
        let answer = cuserfaultfd_pagemap_entry(descriptor, UInt64(address) / UInt64(SystemPage.size))
        return (answer.error, PagemapEntry(rawValue: answer.value))
    }
}
