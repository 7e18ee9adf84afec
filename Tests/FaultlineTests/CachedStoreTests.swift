import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// A bounded cache in front of a slower store.
@Suite(.timeLimit(.minutes(5)))
struct CachedStoreTests {
    let page = SystemPage.size

    /// A store that has nothing at hand, and what is behind it.
    private func slow(
        _ bytes: [UInt8],
        _ script: @escaping @Sendable (FaultyStore.Call) async throws -> FaultyStore.Trouble = { _ in .none }
    ) throws -> FaultyStore {
        FaultyStore(try MemoryStore(copying: bytes), script: script)
    }

    @Test(arguments: [(1, 1), (3, 1), (100, 1), (4, 4), (100, 16)], StoreConformance.Case.allCases)
    func `a cache keeps the promises of a store`(
        _ pages: (capacity: Int, block: Int), _ one: StoreConformance.Case
    ) async throws {
        let page = page
        try await StoreConformance {
            try CachedStore(
                FaultyStore(MemoryStore(byteCount: $0)) { _ in .none }, capacity: pages.capacity * page,
                blockByteCount: pages.block * page)
        }.run(one)
    }

    @Test(arguments: StoreConformance.Case.allCases)
    func `a cache of a file keeps the promises of a store`(_ one: StoreConformance.Case) async throws {
        let file = TemporaryFile([])
        let page = page
        try await StoreConformance(
            reopenStore: { _ in try CachedStore(FileStore(path: file.path), capacity: 8 * page) }
        ) { byteCount in
            let options = FileStore.Options(byteCount: byteCount, reading: .pooled, usesDirectIO: true)
            return try CachedStore(FileStore(path: file.path, options: options), capacity: 8 * page)
        }.run(one)
    }

    @Test(arguments: [1, 5, 64])
    func `calls about bytes of the same blocks do not disturb each other`(capacity: Int) async throws {
        let original = HandlerTests.pattern(32 * page)
        let behind = try slow(original) { _ in
            await Task.yield()
            return .none
        }
        let store = try CachedStore(behind, capacity: capacity * 2 * page, blockByteCount: 2 * page)
        let sharers = PageSharers(pages: 32, steps: 400)
        let (failures, model) = try await sharers.run(on: store, holding: original)
        #expect(failures == [])
        let bytes = (try await store.storedBytes(0..<32 * page), try await behind.storedBytes(0..<32 * page))
        #expect((bytes.0 == model, bytes.1 == model) == (true, true), "\(sharers.seed)")
    }

    @Test func `a cache stays within its bounds, and keeps what is asked for again`() async throws {
        let behind = try slow(HandlerTests.pattern(64 * page))
        let store = try CachedStore(behind, capacity: 4 * page + 5, blockByteCount: page)
        #expect(store.capacity == 4 * page && store.blockByteCount == page)
        for number in 0..<64 {
            _ = try await store.storedBytes(number * page..<(number + 1) * page)
            _ = try await store.storedBytes(0..<page)
            #expect(store.statistics.cachedByteCount <= 4 * page)
        }
        let statistics = store.statistics
        #expect(statistics.cachedByteCount == 4 * page)
        // Each page once; the first one goes at most each time the hand has come round.
        #expect(statistics.misses >= 64 && statistics.misses <= 64 + 64 / 3)
        #expect(statistics.hits + statistics.misses == 128)
        #expect(statistics.evictions == statistics.misses - 4)
        #expect(behind.count(.read) == statistics.misses)
    }

    @Test func `several misses of a page are one read`() async throws {
        let gate = Gate()
        let bytes = HandlerTests.pattern(4 * page)
        let behind = try slow(bytes) { _ in
            await gate.wait()
            return .none
        }
        let store = try CachedStore(behind, capacity: 16 * page)
        let readers = (0..<8).map { number in
            Task { try await store.storedBytes(number * 100..<number * 100 + page) }
        }
        await until { store.statistics.joins == 7 }
        gate.open()
        for (number, reader) in readers.enumerated() {
            #expect(try await reader.value == Array(bytes[number * 100..<number * 100 + page]))
        }
        #expect(behind.count(.read) == 1)
        #expect(store.statistics.misses == 1 && store.statistics.hits == 0)
    }

    @Test func `an error reaches all who wait, and is not kept`() async throws {
        let gate = Gate()
        let behind = try slow(HandlerTests.pattern(page)) { call in
            await gate.wait()
            return call.number == 1 ? .breakOff(afterByteCount: 10, StoreIsDown()) : .none
        }
        let store = try CachedStore(behind, capacity: page, blockByteCount: page)
        let readers = (0..<3).map { _ in Task { try await store.storedBytes(0..<page) } }
        await until { store.statistics.joins == 2 }
        gate.open()
        for reader in readers { await #expect(throws: StoreIsDown.self) { try await reader.value } }
        #expect(store.statistics.cachedByteCount == 0)
        let now = try store.readNow(0..<page)
        #expect(now == nil)
        #expect(try await store.storedBytes(0..<page) == HandlerTests.pattern(page))
        #expect(behind.count(.read) == 2)
    }

    @Test func `who is cancelled leaves the others alone; when all are, so is the read`() async throws {
        let gate = Gate()
        let cancelled = Gate()
        let behind = try slow(HandlerTests.pattern(2 * page)) { call in
            if call.number == 1 {
                await gate.wait()
            } else if call.number == 2 {
                await withTaskCancellationHandler {
                    await cancelled.wait()
                } onCancel: {
                    cancelled.open()
                }
                throw CancellationError()
            }
            return .none
        }
        let store = try CachedStore(behind, capacity: 2 * page, blockByteCount: page)
        let first = (0..<2).map { _ in Task { try await store.storedBytes(0..<page) } }
        await until { store.statistics.joins == 1 }
        first[0].cancel()
        await #expect(throws: StoreError.self) { try await first[0].value }
        gate.open()
        #expect(try await first[1].value == HandlerTests.pattern(page))
        let second = Task { try await store.storedBytes(page..<2 * page) }
        await until { behind.count(.read) == 2 }
        second.cancel()
        await #expect(throws: StoreError.self) { try await second.value }
        await cancelled.wait()
        #expect(
            try await store.storedBytes(page..<2 * page) == Array(HandlerTests.pattern(2 * page)[page...]))
        #expect(behind.count(.read) == 3)
    }

    @Test func `a write goes through, and what was in the cache is there anew`() async throws {
        let behind = try slow([UInt8](repeating: 1, count: 4 * page)) { call in
            if call.operation == .write, call.number == 2 { throw StoreIsDown() }
            return .none
        }
        let store = try CachedStore(behind, capacity: 8 * page, blockByteCount: 2 * page)
        #expect(!store.writesFromRegions)
        _ = try await store.storedBytes(0..<page)
        try await store.writeBytes([7, 8], at: page - 1)
        try await store.trim([page + 5..<page + 9])
        try await behind.storedBytes(page - 2..<page + 2).expect([1, 7, 8, 1])
        let reads = behind.count(.read)
        try await store.storedBytes(page - 2..<page + 7).expect([1, 7, 8, 1, 1, 1, 1, 0, 0])
        #expect(try store.readNow(page..<2 * page)?.bytes(2) == [8, 1])
        #expect(behind.count(.read) == reads, "all of it was there")
        await #expect(throws: StoreIsDown.self) { try await store.writeBytes([9], at: 0) }
        #expect(store.statistics.cachedByteCount == 0, "nobody knows what the store behind has")
        try await store.storedBytes(0..<2).expect([1, 1])
        await #expect(throws: StoreError.self) { try await store.writeBytes([1, 2], at: 4 * page - 1) }
        try await store.flush()
        #expect(behind.count(.flush) == 1)
    }

    @Test func `what is read while it is written elsewhere does not stay`() async throws {
        let gate = Gate()
        let behind = try slow([UInt8](repeating: 1, count: page)) { call in
            if call.operation == .write { await gate.wait() }
            return .none
        }
        let store = try CachedStore(behind, capacity: page, blockByteCount: page)
        let writer = Task { try await store.writeBytes([5], at: 0) }
        await until { behind.count(.write) == 1 }
        try await store.storedBytes(8..<10).expect([1, 1])
        #expect(store.statistics.bypasses == 1 && store.statistics.cachedByteCount == 0)
        gate.open()
        try await writer.value
        try await store.storedBytes(0..<2).expect([5, 1])
    }

    @Test func `bytes that were answered at once stay while somebody has them`() async throws {
        let bytes = HandlerTests.pattern(8 * page)
        let store = try CachedStore(slow(bytes), capacity: page, blockByteCount: page)
        _ = try await store.storedBytes(0..<page)
        let held = try #require(try store.readNow(0..<page))
        for number in 1..<8 {
            #expect(
                try await store.storedBytes(number * page..<(number + 1) * page)
                    == Array(bytes[number * page..<(number + 1) * page]))
        }
        #expect(held.bytes(page) == Array(bytes[..<page]))
        #expect(store.statistics.bypasses == 7)
    }

    @Test func `a cache that cannot be is refused`() throws {
        let store = try MemoryStore(byteCount: page)
        for (capacity, block) in [
            (0, page), (page - 1, page), (page, 0), (page, 100), (page, 2 * page), (-1, -1),
        ] {
            let error = #expect(throws: StoreError.self) {
                _ = try CachedStore(store, capacity: capacity, blockByteCount: block)
            }
            #expect(error?.code == .outOfRange)
        }
        #expect(
            try CachedStore(store, capacity: 1 << 40).capacity == 1 << 40, "no more memory than the store")
    }

    @Test(.requiresUserfaultfd([.writeProtectFaults]))
    func `a region over a cache is written through it, and read from it`() async throws {
        let behind = try slow(PagedPages.numbered(256))
        let store = try CachedStore(behind, capacity: 256 * page, blockByteCount: 8 * page)
        try await withPager { pager in
            let budget = try MemoryBudget(byteCount: 64 * page)
            let region = try await pager.map(store: store, budget: budget)
            let thread = FaultingThread {
                (0..<3).allSatisfy { round in
                    (0..<256).allSatisfy { index in
                        let offset = index * region.pageSize
                        let value = region.load(fromByteOffset: offset, as: UInt64.self)
                        region.store(value + 1, toByteOffset: offset)
                        return value == UInt64(index + round)
                    }
                }
            }
            #expect(await thread.value)
            try await pager.unmap(region)
        }
        // Blocks that two calls write at the same time are read again.
        #expect(store.statistics.misses >= 32)
        #expect(store.statistics.hits > 0)
        let bytes = try await behind.storedBytes(0..<256 * page)
        for index in 0..<256 { #expect(PagedPages.word(bytes, at: index * page) == UInt64(index + 3)) }
    }
}

extension [UInt8] {
    fileprivate func expect(_ expected: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(self == expected, sourceLocation: sourceLocation)
    }
}
