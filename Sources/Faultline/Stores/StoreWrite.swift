/// A piece of what a store is asked to write: bytes of the store, and the memory that holds them.
///
/// The memory may be that of a region where the store allows it (``PageStore/writesFromRegions``): then it is touched on
/// threads that are no reactor's only. Threads of the application may write it meanwhile; such a piece is written again
/// later.
public struct StoreWrite: Sendable {
    /// Where the bytes go in the store.
    public let offset: Int
    /// How many there are; at least one.
    public let byteCount: Int
    let memory: Mapping
    let memoryOffset: Int

    /// The address of the memory, for checks of alignment.
    var address: UInt { memory.address + UInt(memoryOffset) }

    /// The bytes of the store.
    public var range: Range<Int> { offset..<offset + byteCount }

    init(_ memory: Mapping, _ bytes: Range<Int>, to offset: Int) {
        precondition(offset >= 0 && !bytes.isEmpty && bytes.lowerBound >= 0)
        precondition(bytes.upperBound <= memory.byteCount && offset <= Int.max - bytes.count)
        self.offset = offset
        byteCount = bytes.count
        self.memory = memory
        memoryOffset = bytes.lowerBound
    }

    /// A piece that takes the bytes `bytes` of `memory` to `offset`. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: `bytes` is not empty and lies within the memory; `offset` is not negative.
    public init(_ memory: PageMemory, _ bytes: Range<Int>, to offset: Int) {
        self.init(memory.mapping, bytes, to: offset)
    }

    /// The part of this piece that begins `bytes.lowerBound` bytes after its first.
    ///
    /// - Precondition: `bytes` is not empty and lies within the piece.
    public func part(_ bytes: Range<Int>) -> StoreWrite {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= byteCount)
        return StoreWrite(
            memory, memoryOffset + bytes.lowerBound..<memoryOffset + bytes.upperBound,
            to: offset + bytes.lowerBound)
    }

    /// Lends the bytes to `body`. Any thread that is no reactor's; allocates nothing, but may wait for pages of a region.
    public func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try memory.withBytes(memoryOffset..<memoryOffset + byteCount, body)
    }

    /// A copy of the bytes. Otherwise as ``withBytes(_:)``; allocates the array.
    public func readBytes() -> [UInt8] { memory.copyBytes(memoryOffset..<memoryOffset + byteCount) }

    /// Copies the bytes into `target` from byte `start` on.
    func copy(to target: Mapping, at start: Int) {
        target.copy(memory, memoryOffset..<memoryOffset + byteCount, to: start)
    }

    /// Whether the bytes `bytes` of the piece are all zero.
    func isZero(_ bytes: Range<Int>) -> Bool {
        memory.withBytes(memoryOffset + bytes.lowerBound..<memoryOffset + bytes.upperBound) { $0.isZero }
    }
}
