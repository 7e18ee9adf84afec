import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Regions over stores, for reading.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct StoreHandlerTests {
    let page = SystemPage.size

    /// Reads a region of `pages` pages, the last one first.
    private func read(
        _ handler: some FaultHandler, pages: Int, _ check: (PagerStatistics) -> Void = { _ in }
    ) async throws -> [UInt8] {
        try await withPager { pager in
            let region = try await pager.map(byteCount: pages * page, handler: handler)
            let thread = FaultingThread {
                for number in (0..<pages).reversed() {
                    _ = region.load(fromByteOffset: number * region.pageSize + 17, as: UInt8.self)
                }
                return region.readBytes(0..<region.byteCount)
            }
            let bytes = await thread.value
            check(await pager.statistics)
            return bytes
        }
    }

    @Test(arguments: [0, 100, 4096, 3 * 4096 + 1, 1 << 20])
    func `a region shows a store from an offset on, and zeroes behind its end`(offset: Int) async throws {
        let bytes = HandlerTests.pattern(4 * page + 321)
        let expected = HandlerTests.expected(bytes, from: offset, pages: 7)
        let file = TemporaryFile(bytes)
        let workers = try WorkerPool(threads: 1)
        let memory = try MemoryStore(copying: bytes)
        #expect(try await read(StoreHandler(memory, startingAt: offset), pages: 7) == expected)
        let late = FaultyStore(memory) { _ in .none }
        #expect(try await read(StoreHandler(late, startingAt: offset), pages: 7) == expected)
        for reading in [FileStore.Reading.cached, .mapped, .pooled] {
            let store = try FileStore(
                path: file.path, options: FileStore.Options(reading: reading, workers: workers))
            let handler = StoreHandler(store, startingAt: offset)
            #expect(handler.baseOffset == offset && handler.store === store)
            #expect(try await read(handler, pages: 7) == expected, "\(reading)")
        }
    }

    @Test func `what is at hand is answered without a task`() async throws {
        let store = FaultyStore(try MemoryStore(copying: HandlerTests.pattern(8 * page)), answersNow: true) {
            _ in throw StoreIsDown()
        }
        let bytes = try await read(StoreHandler(store), pages: 8) { statistics in
            #expect(statistics.synchronousAnswers == statistics.requests)
        }
        #expect(bytes == HandlerTests.pattern(8 * page))
    }

    @Test func `what a read that broke off has left is never shown`() async throws {
        let good = [UInt8](repeating: 1, count: 2 * page)
        let store = FaultyStore(try MemoryStore(copying: good)) { call in
            call.number == 1 ? .breakOff(afterByteCount: 100, StoreIsDown()) : .none
        }
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(
                byteCount: 2 * page, handler: StoreHandler(store),
                options: RegionOptions(failurePolicy: .retry(limit: 3)))
            let thread = FaultingThread { region.readBytes(0..<region.byteCount) }
            #expect(await thread.value == good)
        }
        #expect(log.failures.count == 1)
        #expect(log.failures.first?.error is StoreIsDown)
        #expect(store.count(.read) == 3, "one page twice, one page once")
    }

    /// The buffer of a failed read does not come back: a store that goes on writing to it harms nobody.
    @Test func `a store that writes after it has failed spoils no page`() async throws {
        struct Late: PageStore {
            let kept = Lock<[StoreRead]>([])
            var byteCount: Int { 1 << 20 }
            func read(_ pieces: [StoreRead]) async throws {
                let isFirst = kept.withLock { kept in
                    defer { if kept.isEmpty { kept = pieces } }
                    return kept.isEmpty
                }
                if isFirst { throw StoreIsDown() }
                for piece in pieces { piece.write([UInt8](repeating: 5, count: piece.byteCount)) }
                for piece in kept.withLock({ $0 }) {
                    piece.write([UInt8](repeating: 66, count: piece.byteCount))
                }
            }
            func write(_ pieces: [StoreWrite]) async throws {}
            func flush() async throws {}
        }
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: page, handler: StoreHandler(Late()),
                options: RegionOptions(failurePolicy: .retry(limit: 1)))
            let thread = FaultingThread { region.readBytes(0..<region.byteCount) }
            #expect(await thread.value == [UInt8](repeating: 5, count: page))
        }
    }
}
