import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// Regions whose pages come and go over sockets.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct PagedTests {
    let page = SystemPage.size
    let seed = TestSeed()

    private func numbered(_ pages: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: pages * page)
        for number in 0..<pages {
            for index in 0..<8 {
                bytes[number * page + index] = UInt8(truncatingIfNeeded: number >> (8 * index))
            }
        }
        return bytes
    }

    /// Threads count in words of their own, in a region that does not fit into memory.
    private func count(
        _ reactors: (serving: Reactor, connecting: Reactor, paging: Reactor), threads: Int = 4,
        pages: Int = 256
    ) async throws {
        let server = TestServer(.tcp, on: reactors.serving)
        let memory = try MemoryStore(copying: numbered(pages))
        try await server.start(memory)
        let store = try await server.connect(on: reactors.connecting)
        let pager = try await Pager(on: reactors.paging)
        let region = try await pager.map(store: store, budget: try MemoryBudget(byteCount: 96 * page))
        let seed = self.seed
        let workers = (0..<threads).map { thread in
            FaultingThread {
                var random = TestRandom(seed, stream: UInt64(thread))
                var wrong = 0
                for round in 0..<2 {
                    for number in Array(0..<pages).shuffled(using: &random) {
                        let base = number * region.pageSize
                        let own = base + 8 + 8 * thread
                        let value = region.load(fromByteOffset: own, as: UInt64.self)
                        if value != UInt64(round) { wrong += 1 }
                        region.store(value + 1, toByteOffset: own)
                        if region.load(fromByteOffset: base, as: UInt64.self) != UInt64(number) { wrong += 1 }
                    }
                }
                return wrong
            }
        }
        for worker in workers { #expect(await worker.value == 0, "\(seed)") }
        try await region.flush()
        #expect(await store.statistics().unflushedByteCount == 0)
        for number in 0..<pages {
            let bytes = memory.readBytes(number * page..<number * page + 8 + 8 * threads)
            #expect(bytes[0] == UInt8(truncatingIfNeeded: number))
            #expect((0..<threads).allSatisfy { bytes[8 + 8 * $0] == 2 }, "page \(number)")
        }
        await pager.shutdown()
        await server.kill()
    }

    @Test func `pager, store and server on one reactor`() async throws {
        try await withReactor { try await count(($0, $0, $0)) }
    }

    @Test func `pager, store and server on a reactor each`() async throws {
        try await withReactor { first in
            try await withReactor { second in
                try await withReactor { try await count((first, second, $0)) }
            }
        }
    }

    @Test func `threads stay parked while the server is away, and get their pages when it is back`()
        async throws
    {
        try await withReactor { reactor in
            let server = TestServer(.unix, on: reactor)
            let memory = try MemoryStore(copying: numbered(64))
            try await server.start(memory)
            let store = try await server.connect()
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(store: store)
            await server.kill()
            let threads = (0..<8).map { thread in
                FaultingThread { region.load(fromByteOffset: thread * 8 * region.pageSize, as: UInt64.self) }
            }
            for thread in threads { await thread.waitUntilParked() }
            #expect(threads.allSatisfy { !$0.isFinished })
            try await server.start(memory)
            for (number, thread) in threads.enumerated() { #expect(await thread.value == UInt64(number * 8)) }
            let statistics = await pager.statistics
            #expect(statistics.failures == 0)
            await pager.shutdown()
            await server.kill()
        }
    }

    /// Tasks of the application hold all threads of Swift's pool, and wait for pages: those must come without the pool.
    @Test func `pages come when every thread of the pool waits for one`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            try await server.start(FaultyStore(try MemoryStore(copying: numbered(64))) { _ in .none })
            let store = try await server.connect()
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(store: store)
            let values = await withTaskGroup { group in
                for number in 0..<64 {
                    group.addTask { region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) }
                }
                return await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
            }
            #expect(values == Set(0..<64))
            await pager.shutdown()
            await server.kill()
        }
    }
}
