/// Where the pages of a region come from, and go to: memory, a file, or something far away.
///
/// A store is a row of bytes, ``byteCount`` of them, zero where nothing was written. ``StoreHandler`` serves a region from
/// one. All its operations take ranges as long as the pager could make them, and several at a time; they may be called
/// from any thread, several at once. Whoever calls sees to it that the same bytes are not written while they are read or
/// written by another call.
///
/// ## What implementations owe
/// - ``read(_:)`` fills every piece to its last byte before it returns: bytes behind the end of the store are zero. Bytes
///   that should be there and are not are an error, never zeroes.
/// - ``write(_:)`` returns when later reads give the new bytes. When it throws, the bytes of its pieces may be the old
///   ones, the new ones, or a mixture by pages: they are written again.
/// - Once a call has returned or thrown, the memory of its pieces is not touched any more.
/// - A call whose task is cancelled may end early by throwing.
/// - A read never waits for a thread that may be busy with a write: that thread may wait for a page.
/// - No call runs on Swift's global pool, nor waits for something that does: tasks that wait for a page may hold all of its
///   threads. Work that blocks belongs on a `WorkerPool`.
public protocol PageStore: Sendable {
    /// The length in bytes; stays the same. Any thread; neither blocks nor allocates.
    var byteCount: Int { get }

    /// Whether ``write(_:)`` may be handed the memory of a region itself, which spares a copy. Only a store that touches
    /// these bytes on threads that are no reactor's may say so: a page among them may have to be waited for. False unless
    /// a store says otherwise.
    var writesFromRegions: Bool { get }

    /// The bytes `range` if they can be had without waiting, or nil for 'not now': then ``read(_:)`` is called. Called on
    /// the reactor's thread: it must not block, and should not allocate. The default returns nil.
    ///
    /// - Parameter range: bytes of the store; may reach beyond its end, where all is zero.
    /// - Throws: any error, which counts as a failure to read.
    func readNow(_ range: Range<Int>) throws -> StoredBytes?

    /// Reads bytes into memory. Any thread; suspends until all is there.
    ///
    /// - Parameter pieces: what to read, and where to put it; in any order, none overlapping another.
    /// - Throws: any error; what is in the pieces then is not used.
    func read(_ pieces: [StoreRead]) async throws

    /// Writes bytes from memory. Any thread but a reactor's; suspends until later reads see them.
    ///
    /// - Parameter pieces: what to write, and where to; in any order, none overlapping another, all within the store.
    /// - Throws: any error, such as ``StoreError/Code/noSpace``.
    func write(_ pieces: [StoreWrite]) async throws

    /// Makes all that was written before the call durable. Any thread; suspends until that is so.
    ///
    /// - Throws: any error: what was written since the last call that succeeded may not be durable then.
    func flush() async throws

    /// Says that the bytes of these ranges are not needed any more: they read as zero from now on, and the store may give
    /// back the space they take. Any thread. The default writes zeroes.
    ///
    /// - Parameter ranges: bytes of the store, none overlapping another, all within it.
    /// - Throws: any error.
    func trim(_ ranges: [Range<Int>]) async throws
}

extension PageStore {
    /// False: the pager hands ``write(_:)`` a copy of the region's bytes.
    public var writesFromRegions: Bool { false }

    /// 'Not now': every read goes to ``read(_:)``.
    public func readNow(_ range: Range<Int>) throws -> StoredBytes? { nil }

    /// Writes zeroes, in pieces of at most 1 MiB.
    public func trim(_ ranges: [Range<Int>]) async throws {
        guard let longest = ranges.map(\.count).max(), longest > 0 else { return }
        let zeroes = try PageMemory(byteCount: min(longest, 1 << 20))
        for range in ranges {
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = min(zeroes.byteCount, range.upperBound - offset)
                try await write([StoreWrite(zeroes, 0..<count, to: offset)])
                offset += count
            }
        }
    }
}

/// Bytes that a store has at hand: what ``PageStore/readNow(_:)`` answers.
public enum StoredBytes: Sendable {
    /// They are all zero.
    case zero
    /// They lie in `source` from byte `at` on, and stay there until the next write to them. The source must not lie in a
    /// registered range of the reactor, and is read by the kernel (`UFFDIO_COPY`).
    case bytes(PageSource, at: Int)
}
