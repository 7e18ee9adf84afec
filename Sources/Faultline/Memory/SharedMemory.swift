/// Memory that can be mapped more than once: once as a region, and once here, where it can be written without faulting.
///
/// A handler of a region over it puts contents in place through this object and answers with
/// ``Resolution/mapExisting``: nothing is copied. Other mappings of the same memory, in this process or another, see the
/// same bytes.
///
/// Any thread, the reactor's included, may use it: this mapping is never registered. As with any shared memory, who
/// writes what when is the program's own matter.
public final class SharedMemory: Sendable {
    let file: OpenFile
    private let alias: Mapping
    /// The length in bytes, a whole number of pages.
    public let byteCount: Int
    /// The size of its pages in bytes: the system's, or 2 MiB.
    public let pageSize: Int

    /// Makes memory of `byteCount` bytes, rounded up to pages, all zero (memfd_create(2), mmap(2)). Populated when it is
    /// touched.
    ///
    /// - Parameters:
    ///   - byteCount: the length in bytes.
    ///   - hugePages: whether it is made of pages of 2 MiB, which the system must have reserved (`vm.nr_hugepages`).
    /// - Throws: ``SystemFailure`` when there are no descriptors, no memory or no huge pages.
    /// - Precondition: `byteCount` is positive.
    public init(byteCount: Int, hugePages: Bool = false) throws(SystemFailure) {
        precondition(byteCount > 0)
        pageSize = hugePages ? RegionState.hugePageSize : RegionState.systemPageSize
        self.byteCount = (byteCount + pageSize - 1) / pageSize * pageSize
        file = try OpenFile(sharedMemoryOf: self.byteCount, hugePages: hugePages)
        alias = try Mapping.writableFile(
            file, byteCount: self.byteCount, isPrivate: false, inheritedByFork: false)
    }

    /// Writes a value at a byte offset, which need not be aligned.
    ///
    /// - Precondition: the value lies within the memory.
    public func store<T: BitwiseCopyable>(_ value: T, toByteOffset offset: Int) { alias.store(value, offset) }

    /// Reads a value at a byte offset, which need not be aligned.
    ///
    /// - Precondition: the value lies within the memory.
    public func load<T: BitwiseCopyable>(fromByteOffset offset: Int, as type: T.Type) -> T {
        alias.load(offset, as: type)
    }

    /// Lends the bytes `offsets` to `body` for writing.
    ///
    /// - Precondition: they lie within the memory.
    public func withMutableBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        try alias.withMutableBytes(offsets, body)
    }

    /// Copies bytes to a byte offset.
    ///
    /// - Precondition: they fit.
    public func write(_ bytes: [UInt8], at offset: Int) { alias.write(bytes, at: offset) }
}
