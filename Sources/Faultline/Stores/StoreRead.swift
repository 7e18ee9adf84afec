/// A piece of what a store is asked to read: bytes of the store, and the memory they are to be put in.
///
/// The memory is never that of a region: any thread may write it, the reactor's included.
public struct StoreRead: Sendable {
    /// Where the bytes begin in the store.
    public let offset: Int
    /// How many there are; at least one.
    public let byteCount: Int
    let memory: Mapping
    let memoryOffset: Int

    /// The address of the memory, for checks of alignment.
    var address: UInt { memory.address + UInt(memoryOffset) }

    /// The bytes of the store.
    public var range: Range<Int> { offset..<offset + byteCount }

    init(_ offset: Int, into memory: Mapping, _ bytes: Range<Int>) {
        precondition(offset >= 0 && !bytes.isEmpty && bytes.lowerBound >= 0)
        precondition(bytes.upperBound <= memory.byteCount && offset <= Int.max - bytes.count)
        self.offset = offset
        byteCount = bytes.count
        self.memory = memory
        memoryOffset = bytes.lowerBound
    }

    /// A piece that puts bytes from `offset` on into the bytes `bytes` of `memory`. Any thread; neither blocks nor
    /// allocates.
    ///
    /// - Precondition: `bytes` is not empty and lies within the memory; `offset` is not negative.
    public init(from offset: Int, into memory: PageMemory, _ bytes: Range<Int>) {
        self.init(offset, into: memory.mapping, bytes)
    }

    /// The part of this piece that begins `bytes.lowerBound` bytes after its first.
    ///
    /// - Precondition: `bytes` is not empty and lies within the piece.
    public func part(_ bytes: Range<Int>) -> StoreRead {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= byteCount)
        return StoreRead(
            offset + bytes.lowerBound, into: memory,
            memoryOffset + bytes.lowerBound..<memoryOffset + bytes.upperBound)
    }

    /// Lends the memory to `body` for writing. Any thread; neither blocks nor allocates. What is there before is
    /// undefined.
    public func withMutableBytes<R, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        try memory.withMutableBytes(memoryOffset..<memoryOffset + byteCount, body)
    }

    /// Copies `bytes` to the byte `position` of the piece. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: they fit.
    public func write(_ bytes: [UInt8], at position: Int = 0) {
        precondition(position >= 0 && position <= byteCount && bytes.count <= byteCount - position)
        memory.write(bytes, at: memoryOffset + position)
    }

    /// Makes the bytes from `position` on zero. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: `position` is from zero to ``byteCount``.
    public func zero(from position: Int = 0) {
        precondition(position >= 0 && position <= byteCount)
        memory.zero(memoryOffset + position..<memoryOffset + byteCount)
    }

    /// Copies what lies in `source` from byte `start` on.
    func copy(_ source: Mapping, from start: Int) {
        memory.copy(source, start..<start + byteCount, to: memoryOffset)
    }
}
