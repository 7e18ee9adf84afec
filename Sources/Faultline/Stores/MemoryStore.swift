/// A store in memory: for tests, for scratch data, and as the fast part of something larger.
///
/// Reads are answered at once, from where the bytes lie. Nothing is durable: ``flush()`` has nothing to do.
public final class MemoryStore: PageStore {
    private let memory: PageMemory
    private let source: PageSource
    /// The length in bytes.
    public let byteCount: Int

    /// True: bytes are copied by the thread that calls ``write(_:)``, which the pager never does on a reactor's.
    public var writesFromRegions: Bool { true }

    /// A store of `byteCount` zeroes (mmap(2)). Any thread; takes memory where it is written.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory.
    /// - Precondition: `byteCount` is positive.
    public init(byteCount: Int) throws(SystemFailure) {
        memory = try PageMemory(byteCount: byteCount)
        source = PageSource(mapping: memory.mapping, byteCount: byteCount)
        self.byteCount = byteCount
    }

    /// A store that holds a copy of `bytes`. Any thread.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory.
    /// - Precondition: `bytes` is not empty.
    public convenience init(copying bytes: [UInt8]) throws(SystemFailure) {
        try self.init(byteCount: bytes.count)
        memory.write(bytes, at: 0)
    }

    /// A copy of the bytes `range`. Any thread; allocates the array.
    ///
    /// - Precondition: they lie within the store.
    public func readBytes(_ range: Range<Int>) -> [UInt8] {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount)
        return memory.readBytes(range)
    }

    /// The bytes where they lie. Behind the end of the store, up to the next page, they are zero.
    public func readNow(_ range: Range<Int>) -> StoredBytes? {
        if range.lowerBound >= byteCount { return .zero }
        return range.upperBound <= memory.byteCount ? .bytes(source, at: range.lowerBound) : nil
    }

    /// Copies bytes, on the thread of the caller; does not suspend.
    ///
    /// - Throws: ``StoreError`` when the task has been cancelled.
    public func read(_ pieces: [StoreRead]) async throws(StoreError) {
        if Task.isCancelled { throw .cancelled() }
        for piece in pieces {
            let count = max(min(piece.byteCount, byteCount - piece.offset), 0)
            if count > 0 { piece.part(0..<count).copy(memory.mapping, from: piece.offset) }
            if count < piece.byteCount { piece.zero(from: count) }
        }
    }

    /// Copies bytes, on the thread of the caller; does not suspend.
    ///
    /// - Throws: ``StoreError`` when a piece reaches beyond the end of the store, or the task has been cancelled; nothing is
    ///   written then.
    public func write(_ pieces: [StoreWrite]) async throws(StoreError) {
        if Task.isCancelled { throw .cancelled() }
        for piece in pieces where piece.range.upperBound > byteCount {
            throw .outOfRange(piece.range, of: byteCount)
        }
        for piece in pieces { piece.copy(to: memory.mapping, at: piece.offset) }
    }

    /// Does nothing.
    public func flush() async {}

    /// Gives back the memory of whole pages (`MADV_DONTNEED`), and makes the rest zero.
    ///
    /// - Throws: ``StoreError`` when a range reaches beyond the end of the store.
    public func trim(_ ranges: [Range<Int>]) async throws(StoreError) {
        for range in ranges where range.lowerBound < 0 || range.upperBound > byteCount {
            throw .outOfRange(range, of: byteCount)
        }
        for range in ranges { memory.mapping.clear(range) }
    }
}
