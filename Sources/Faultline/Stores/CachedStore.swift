public import EventReactor
internal import Userfault

/// A cache in memory, of bounded size, in front of a store that is slow: a server, or a disk that is read directly.
///
/// Blocks that were read stay until others need their place; which ones go, a clock decides. What is in the cache is answered
/// at once, from where it lies. Several reads that miss the same block wait for one read of the store behind. Reads that fail
/// are told to all who wait for them and leave nothing behind: the next one asks again.
///
/// Writes go through: ``write(_:)`` returns when the store behind has the bytes, and blocks that were in the cache are
/// there with the new bytes. Nobody else may write to the store behind.
public final class CachedStore: PageStore {
    /// What a cache has done so far, in blocks.
    public struct Statistics: Hashable, Sendable {
        /// Blocks that were there when they were asked for.
        public var hits = 0
        /// Blocks that were read from the store behind because they were not there.
        public var misses = 0
        /// Blocks that another call was already reading.
        public var joins = 0
        /// Reads that went past the cache: the block was being written just then, or all places were in use.
        public var bypasses = 0
        /// Blocks that went to make room for others.
        public var evictions = 0
        /// How many bytes are in the cache now, those being read included.
        public var cachedByteCount = 0
    }

    let store: any PageStore
    let memory: PageMemory
    let table: Lock<CacheTable>
    /// Read the store behind.
    let workers: WorkerPool
    /// The number of bytes that are read and kept as one.
    public let blockByteCount: Int
    /// The most that is kept, in bytes: a whole number of blocks.
    public let capacity: Int
    /// That of the store behind.
    public let byteCount: Int

    /// Puts a cache in front of `store`. Any thread; maps as many bytes (mmap(2)), which take memory when they are used,
    /// and starts a thread if it is given none.
    ///
    /// - Parameters:
    ///   - store: what is cached.
    ///   - capacity: how many bytes are kept, rounded down to blocks; at least one block.
    ///   - blockByteCount: how many bytes are read and kept as one, a multiple of a page; nil for four pages. Large blocks
    ///     suit readers that go on to the neighbours, small ones those that do not.
    ///   - workers: the threads that call the store behind to read blocks; nil for one of the cache's own. A read of the
    ///     store behind must not block them for long.
    /// - Throws: ``StoreError`` when the sizes do not fit, there is no memory, or the thread cannot be started.
    public init(
        _ store: any PageStore, capacity: Int, blockByteCount: Int? = nil, workers: WorkerPool? = nil
    ) throws(StoreError) {
        let block = blockByteCount ?? 4 * SystemPage.size
        guard block > 0, block % SystemPage.size == 0, capacity >= block else {
            throw StoreError(
                .outOfRange,
                "a cache of \(capacity) bytes cannot be made of blocks of \(block) bytes; give it whole pages, "
                    + "and at least one block")
        }
        byteCount = store.byteCount
        guard byteCount <= Int.max - block else {
            throw StoreError(.outOfRange, "the store behind is too long for a cache")
        }
        // A few more than the store has: a block that is written goes to another place.
        let slotCount = min(capacity / block, (byteCount + block - 1) / block + 4)
        do throws(SystemFailure) { memory = try PageMemory(byteCount: slotCount * block) } catch {
            throw StoreError(error)
        }
        self.store = store
        self.blockByteCount = block
        self.capacity = capacity / block * block
        table = Lock(CacheTable(memory: memory.mapping, slotCount: slotCount))
        do throws(ReactorError) {
            self.workers = if let workers { workers } else { try WorkerPool(threads: 1, name: "cache") }
        } catch {
            throw StoreError(.system, "the thread of the cache could not be started: \(error)")
        }
    }

    /// What the cache has done so far. Any thread.
    public var statistics: Statistics {
        table.withLock { table in
            var statistics = table.statistics
            statistics.cachedByteCount = table.cachedBlockCount * blockByteCount
            return statistics
        }
    }

    /// The bytes where they lie in the cache, if one block has them all; else what the store behind has at hand, which does not
    /// come into the cache.
    ///
    /// - Throws: what the store behind throws.
    public func readNow(_ range: Range<Int>) throws -> StoredBytes? {
        guard !range.isEmpty else { return nil }
        let block = range.lowerBound / blockByteCount
        if (range.upperBound - 1) / blockByteCount == block {
            let stored: StoredBytes? = table.withLock { table in
                guard case .ready(let slot) = table.standing(block) else { return nil }
                table.statistics.hits += 1
                return .bytes(table.source(of: slot), at: position(of: range.lowerBound, in: slot))
            }
            if let stored { return stored }
        }
        return try store.readNow(range)
    }

    /// Makes durable what was written to the store behind.
    ///
    /// - Throws: what it throws.
    public func flush() async throws { try await store.flush() }

    /// Where a byte of the store lies in the memory, if its block lies in `slot`.
    func position(of offset: Int, in slot: Int) -> Int { slot * blockByteCount + offset % blockByteCount }

    /// `range` by blocks.
    func parts(of range: Range<Int>) -> [(block: Int, bytes: Range<Int>)] {
        guard !range.isEmpty else { return [] }
        let blocks = range.lowerBound / blockByteCount...(range.upperBound - 1) / blockByteCount
        return blocks.map { ($0, range.clamped(to: $0 * blockByteCount..<($0 + 1) * blockByteCount)) }
    }
}
