internal import EventReactor

/// Memory for a handler to put the pages of its answer in, page-aligned and as long as its request.
///
/// It comes from a pool of the region and goes back there after the pages have been installed, or when the buffer is
/// dropped unused. What the handler does not write is zero. A buffer has one owner and moves with it: between threads
/// as well.
///
/// - Note: Making one takes a lock for a moment and, once the pool is warm, neither allocates nor enters the kernel.
public struct PageBuffer: ~Copyable, Sendable {
    /// The length in bytes: a whole number of pages.
    public let byteCount: Int
    let storage: PageBufferStorage
    private let pool: PageBufferPool

    init(byteCount: Int, storage: PageBufferStorage, pool: PageBufferPool) {
        self.byteCount = byteCount
        self.storage = storage
        self.pool = pool
    }

    deinit {
        if !storage.isTaken { pool.recycle(storage) }
    }

    /// Lets `body` append the contents from the first byte on. What it leaves is zero. Any thread; neither blocks nor
    /// allocates.
    ///
    /// - Parameter body: appends at most ``byteCount`` bytes.
    public mutating func fill<E: Error>(_ body: (inout OutputRawSpan) throws(E) -> Void) throws(E) {
        let count = try storage.mapping.append(0..<byteCount, body)
        if count < byteCount { storage.mapping.zero(count..<byteCount) }
        storage.isDirty = false
    }

    /// Lets `body` write anywhere in the buffer, which is zero where nothing has been written before. Any thread;
    /// neither blocks nor allocates. To fill the whole buffer, ``fill(_:)`` is cheaper: a used buffer is not cleared first.
    public mutating func withMutableBytes<R, E: Error>(
        _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        clearRemains()
        return try storage.mapping.withMutableBytes(0..<byteCount, body)
    }

    /// Writes a value at a byte offset, which need not be aligned. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: the value lies within the buffer.
    public mutating func store<T: BitwiseCopyable>(_ value: T, toByteOffset offset: Int) {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size)
        clearRemains()
        storage.mapping.store(value, offset)
    }

    /// Copies `bytes` to the byte `offset` of the buffer. Any thread; neither blocks nor allocates.
    ///
    /// - Precondition: `offset` and `offset + bytes.count` lie within the buffer.
    public mutating func write(_ bytes: [UInt8], at offset: Int = 0) {
        precondition(offset >= 0 && offset <= byteCount && bytes.count <= byteCount - offset)
        clearRemains()
        storage.mapping.write(bytes, at: offset)
    }

    /// Copies the bytes `offsets` of `source` to the beginning; the rest is zero.
    mutating func copy(_ source: Mapping, _ offsets: Range<Int>) {
        storage.mapping.copy(source, offsets)
        if offsets.count < byteCount { storage.mapping.zero(offsets.count..<byteCount) }
        storage.isDirty = false
    }

    /// Reads a file that was `fileByteCount` bytes long from `offset` on, on a thread of `workers`; the rest is zero.
    mutating func read(
        _ file: OpenFile, of fileByteCount: Int, at offset: Int, on workers: WorkerPool
    ) async throws(SystemFailure) {
        let mapping = storage.mapping
        let byteCount = self.byteCount
        let count = try await workers.run { () throws(SystemFailure) in
            try mapping.read(
                0..<byteCount, from: file, at: offset, minimum: min(byteCount, fileByteCount - offset))
        }
        if count < byteCount { mapping.zero(count..<byteCount) }
        storage.isDirty = false
    }

    /// Fills the buffer with the bytes of a store from `offset` on.
    mutating func read(from store: some PageStore, at offset: Int) async throws {
        do {
            try await store.read([StoreRead(offset, into: storage.mapping, 0..<byteCount)])
        } catch {
            // A store that goes on writing after it has failed finds memory that nobody else will ever see.
            storage.isTaken = true
            throw error
        }
        storage.isDirty = false
    }

    /// Gives up the storage without returning it to the pool; whoever takes it does.
    consuming func take() -> PageBufferStorage {
        clearRemains()
        storage.isTaken = true
        return storage
    }

    /// A used buffer still holds what an earlier request put there: nobody may see that.
    private func clearRemains() {
        guard storage.isDirty else { return }
        storage.mapping.zero(0..<byteCount)
        storage.isDirty = false
    }
}
