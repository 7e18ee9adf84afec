import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Regions that are larger than what may be in memory of them.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct PagingTests {
    let page = SystemPage.size
    let seed = TestSeed()

    enum Pattern: String, CaseIterable {
        case sequentialReads, shuffledReads, sequentialWrites, shuffledWrites, readModifyWrites
        var isShuffled: Bool { self != .sequentialReads && self != .sequentialWrites }
    }

    /// Every thread goes over all pages twice. Each has a word of its own in every page, which counts its writes.
    private func run(
        _ pattern: Pattern, threads: Int, pages: Int = 320, budget: MemoryBudget?, _ kind: StoreKind,
        readAhead: ReadAheadPolicy = .none
    ) async throws -> PagerStatistics {
        let (store, contents) = try kind.make(PagedPages.numbered(pages))
        let log = FailureLog()
        return try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await erased(store) { store in
                try await pager.map(
                    store: store, budget: budget, options: RegionOptions(readAhead: readAhead))
            }
            let seed = self.seed
            let workers = (0..<threads).map { thread in
                FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(thread))
                    var wrong: [Int] = []
                    for round in 0..<2 {
                        for number in PagedPages.order(pages, shuffled: pattern.isShuffled, &random) {
                            let base = number * region.pageSize
                            let own = base + 8 + 8 * thread
                            switch pattern {
                            case .sequentialReads, .shuffledReads:
                                break
                            case .sequentialWrites, .shuffledWrites:
                                region.store(UInt64(round + 1), toByteOffset: own)
                            case .readModifyWrites:
                                let value = region.load(fromByteOffset: own, as: UInt64.self)
                                if value != UInt64(round) { wrong.append(number) }
                                region.store(value + 1, toByteOffset: own)
                            }
                            if region.load(fromByteOffset: base, as: UInt64.self) != UInt64(number) {
                                wrong.append(number)
                            }
                        }
                    }
                    return wrong
                }
            }
            while !workers.allSatisfy(\.isFinished) {
                guard let budget else { break }
                let resident = try await PagedPages.residentPages(region)
                #expect(resident <= budget.byteCount / page)
                // A look every now and then: each of them stops the pager.
                try await Task.sleep(for: .milliseconds(2))
            }
            for worker in workers { #expect(await worker.value == [], "\(seed)") }
            try await region.flush()
            var expected = PagedPages.numbered(pages)
            if pattern != .sequentialReads, pattern != .shuffledReads {
                for number in 0..<pages {
                    for thread in 0..<threads {
                        PagedPages.set(2, at: number * page + 8 + 8 * thread, in: &expected)
                    }
                }
            }
            let isRight = contents() == expected
            #expect(isRight, "everything is in the store; \(seed)")
            #expect(log.failures.isEmpty)
            let statistics = await pager.statistics
            #expect(statistics.dirtyPages == 0)
            #expect(statistics.inFlightPages == 0)
            return statistics
        }
    }

    private func erased<T>(_ store: any PageStore, _ body: (any PageStore) async throws -> T) async throws
        -> T
    { try await body(store) }

    @Test(arguments: Pattern.allCases, [1, 2, 8])
    func `no access is wrong, no write is lost, and no more is in memory than may be`(
        _ pattern: Pattern, threads: Int
    ) async throws {
        let budget = try MemoryBudget(byteCount: 80 * page)
        let statistics = try await run(pattern, threads: threads, budget: budget, .tmpfs)
        #expect(statistics.evictedPages >= 2 * 320 - 80 - 80)
        if pattern == .shuffledReads { #expect(statistics.writeBacks == 0) }
    }

    @Test(arguments: StoreKind.allCases, [Pattern.sequentialReads, .readModifyWrites])
    func `the same with every kind of store, and read-ahead`(_ kind: StoreKind, _ pattern: Pattern)
        async throws
    {
        let budget = try MemoryBudget(byteCount: 100 * page)
        _ = try await run(pattern, threads: 3, budget: budget, kind, readAhead: .adaptive)
    }

    @Test(arguments: [Pattern.sequentialReads, .readModifyWrites])
    func `without a budget nothing leaves memory`(_ pattern: Pattern) async throws {
        let statistics = try await run(pattern, threads: 2, budget: nil, .memory)
        #expect(statistics.evictedPages == 0)
        #expect(statistics.presentPages == 320)
    }

    @Test(arguments: [64, 80, 319])
    func `watermarks at the limit, and budgets of odd sizes`(pages: Int) async throws {
        let budget = try MemoryBudget(
            byteCount: pages * page, highWatermark: pages * page, lowWatermark: pages * page)
        _ = try await run(.readModifyWrites, threads: 4, budget: budget, .tmpfs)
        _ = try await run(
            .shuffledReads, threads: 4, budget: try MemoryBudget(byteCount: pages * page, lowWatermark: page),
            .late)
    }
}
