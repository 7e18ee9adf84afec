public import Userfault

/// Bytes that lie in memory already and stay there, unchanged, as long as somebody refers to them: pages are copied
/// from where they lie.
///
/// The kernel reads the source while it serves the fault, on the reactor's thread. The bytes must therefore never lie
/// in a registered range of the same reactor (such a copy is refused: it would wait for itself).
public final class PageSource: Sendable {
    let mapping: Mapping
    /// The number of bytes that may be asked for. The mapping may be longer: it ends at a page.
    public let byteCount: Int

    init(mapping: Mapping, byteCount: Int) {
        self.mapping = mapping
        self.byteCount = byteCount
    }

    /// A copy of `bytes`. Any thread; maps as many bytes (mmap(2)).
    ///
    /// - Throws: ``SystemFailure`` when there is no memory for it.
    public convenience init(copying bytes: [UInt8]) throws(SystemFailure) {
        try self.init(byteCount: bytes.count) { (span: inout OutputRawSpan) in
            for byte in bytes { span.append(byte) }
        }
    }

    /// Memory of `byteCount` bytes that `fill` appends to; what it leaves is zero. Any thread; maps as many bytes
    /// (mmap(2)).
    ///
    /// - Parameters:
    ///   - byteCount: the length in bytes.
    ///   - fill: called once, here and now.
    /// - Throws: ``SystemFailure`` when there is no memory for it.
    public convenience init(byteCount: Int, fill: (inout OutputRawSpan) -> Void) throws(SystemFailure) {
        let mapping = try Mapping.anonymous(byteCount: Self.roundUp(byteCount))
        _ = mapping.append(0..<byteCount, fill)
        self.init(mapping: mapping, byteCount: byteCount)
    }

    /// The file at `path`, mapped read-only (mmap(2)). Any thread; does not read it yet. A page that is not in the page
    /// cache is read from the disk while it is copied, and holds the reactor's thread for that long; a file that
    /// shrinks meanwhile makes the copy fail.
    ///
    /// An empty file is a source without bytes.
    ///
    /// - Parameter path: the file; its descriptor is closed at once.
    /// - Throws: ``SystemFailure`` when the file cannot be opened or mapped, or is no regular file.
    public convenience init(mappingFileAt path: String) throws(SystemFailure) {
        let file = try OpenFile(readingAt: path)
        let byteCount = try file.size()
        // The rest of the last page reads as zero; a mapping cannot be empty.
        let mapping =
            byteCount == 0
            ? try Mapping.anonymous(byteCount: SystemPage.size)
            : try Mapping.file(file, byteCount: Self.roundUp(byteCount))
        self.init(mapping: mapping, byteCount: byteCount)
    }

    /// Memory of the caller's. Any thread; neither blocks nor allocates more than this object.
    ///
    /// - Warning: The caller answers for the memory: mapped, unchanged and outside of every registered range as long as
    ///   anything refers to this source.
    @unsafe
    public convenience init(unsafeMemoryAt range: AddressRange) {
        self.init(mapping: .borrowed(range), byteCount: range.byteCount)
    }

    /// Where the bytes lie.
    public var range: AddressRange { AddressRange(start: mapping.address, byteCount: byteCount) }

    /// Lends the bytes `offsets` to `body`. Any thread; neither blocks nor allocates, except for pages of a file that are not in
    /// memory.
    ///
    /// - Parameters:
    ///   - offsets: bytes from the start of the source.
    ///   - body: called once, here and now.
    /// - Precondition: they lie within the source.
    public func withBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (RawSpan) throws(E) -> R
    ) throws(E) -> R {
        precondition(offsets.lowerBound >= 0 && offsets.upperBound <= byteCount)
        return try mapping.withBytes(offsets, body)
    }

    private static func roundUp(_ byteCount: Int) -> Int {
        max((byteCount + SystemPage.size - 1) / SystemPage.size, 1) * SystemPage.size
    }
}
