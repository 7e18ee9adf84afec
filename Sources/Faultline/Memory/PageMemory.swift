internal import Userfault

/// Page-aligned memory for stores to read into and to write from, outside of every region.
///
/// As with any shared memory, who writes what when is the program's own matter.
public final class PageMemory: Sendable {
    let mapping: Mapping
    /// The length in bytes, a whole number of pages.
    public var byteCount: Int { mapping.byteCount }

    /// Maps `byteCount` bytes, rounded up to pages, all zero (mmap(2)). Any thread; populated when it is touched.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory.
    /// - Precondition: `byteCount` is positive and no more than fits.
    public init(byteCount: Int) throws(SystemFailure) {
        let page = SystemPage.size
        precondition(byteCount > 0 && byteCount <= Int.max - page)
        mapping = try Mapping.anonymous(byteCount: (byteCount + page - 1) / page * page)
    }

    /// Lends the bytes `offsets` to `body`. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: they lie within the memory.
    public func withBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (RawSpan) throws(E) -> R
    ) throws(E) -> R {
        try mapping.withBytes(offsets, body)
    }

    /// Lends the bytes `offsets` to `body` for writing. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: they lie within the memory.
    public func withMutableBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        try mapping.withMutableBytes(offsets, body)
    }

    /// A copy of the bytes `offsets`. Any thread; allocates the array.
    ///
    /// - Precondition: they lie within the memory.
    public func readBytes(_ offsets: Range<Int>) -> [UInt8] { mapping.copyBytes(offsets) }

    /// Copies bytes to a byte offset. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: they fit.
    public func write(_ bytes: [UInt8], at offset: Int) { mapping.write(bytes, at: offset) }
}
