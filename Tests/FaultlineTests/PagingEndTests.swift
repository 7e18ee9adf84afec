import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// How regions over stores, and their pagers, end.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct PagingEndTests {
    let page = SystemPage.size

    private func word(_ memory: MemoryStore, _ number: Int) -> UInt64 {
        PagedPages.word(memory.readBytes(number * page + 8..<number * page + 16), at: 0)
    }

    private func write(_ region: Region, _ numbers: Range<Int>, _ value: UInt64) async {
        await FaultingThread {
            for number in numbers { region.store(value, toByteOffset: number * region.pageSize + 8) }
        }.value
    }

    @Test func `unmapping writes everything first`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(50))
        let store = FaultyStore(memory) { _ in .none }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            await write(region, 10..<20, 3)
            try await pager.unmap(region)
            for number in 0..<50 { #expect(word(memory, number) == ((10..<20).contains(number) ? 3 : 0)) }
            #expect(store.calls.last?.operation == .flush)
            // Gone is gone.
            await #expect(throws: PagerError.self) { try await region.flush() }
            await #expect(throws: PagerError.self) { try await pager.unmap(region) }
            #expect(await pager.statistics.presentPages == 0)
        }
    }

    @Test(arguments: [false, true])
    func `unmapping says what did not get to the store, which can still be read`(hangs: Bool) async throws {
        let isOver = Gate()
        let memory = try MemoryStore(copying: PagedPages.numbered(50))
        let store = FaultyStore(memory) { call in
            guard call.operation == .write else { return .none }
            if hangs { await isOver.wait() }
            throw StoreIsDown()
        }
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(store: store)
            await write(region, 10..<12, 3)
            let error = await #expect(throws: PagerError.self) {
                try await pager.unmap(region, within: hangs ? .milliseconds(50) : .seconds(30))
            }
            #expect(error?.code == .notWritten)
            #expect(error?.ranges.map(\.byteCount) == [2 * page])
            #expect(error?.range?.start == region.range.start + UInt(10 * page))
            if !hangs { #expect(error?.underlyingError is StoreIsDown) }
            #expect(region.load(fromByteOffset: 10 * page + 8, as: UInt64.self) == 3)
            let loss = try #require(log.failures.last)
            #expect(loss.action == .dropped)
            #expect((loss.error as? PagerError)?.code == .notWritten)
            isOver.open()
        }
    }

    @Test func `unmapping says what may not be durable when the store's flush hangs`() async throws {
        let isOver = Gate()
        let memory = try MemoryStore(copying: PagedPages.numbered(50))
        let store = FaultyStore(memory) { call in
            if call.operation == .flush { await isOver.wait() }
            return .none
        }
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(store: store)
            await write(region, 10..<12, 3)
            let error = await #expect(throws: PagerError.self) {
                try await pager.unmap(region, within: .milliseconds(50))
            }
            #expect(error?.code == .notWritten)
            #expect(error?.ranges.map(\.byteCount) == [2 * page])
            #expect(log.failures.map(\.action) == [.dropped])
            #expect(word(memory, 10) == 3)
            isOver.open()
        }
    }

    @Test func `shutting down writes everything first`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(300))
        let budget = try MemoryBudget(byteCount: 64 * page)
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let first = try await pager.map(store: memory, byteCount: 200 * page, budget: budget)
            let second = try await pager.map(
                store: memory, startingAt: 200 * page, byteCount: 100 * page, budget: budget)
            await write(first, 0..<200, 4)
            await write(second, 0..<100, 5)
            await pager.shutdown()
            for number in 0..<300 { #expect(word(memory, number) == (number < 200 ? 4 : 5)) }
        }
        #expect(log.failures.isEmpty)
    }

    @Test(.requiresKernelFaults, arguments: [false, true])
    func `shutting down is bounded in time, and tells what is lost`(hangs: Bool) async throws {
        let isOver = Gate()
        let memory = try MemoryStore(copying: PagedPages.numbered(200))
        let store = FaultyStore(memory) { call in
            guard call.operation == .write else { return .none }
            if hangs { await isOver.wait() }
            throw StoreIsDown()
        }
        let log = FailureLog()
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(store: store, budget: budget)
            await write(region, 0..<60, 3)
            // Somebody waits for room that there will not be: poisoned pages end that (a system call gets EFAULT).
            let waiter = FaultingThread {
                (60..<200).first { number in
                    !MemoryProbe.writeThroughKernel(
                        region.range.start + UInt(number * region.pageSize), [UInt8](repeating: 1, count: 8))
                }
            }
            while await pager.statistics.budgetWaits == 0 {}
            let clock = ContinuousClock()
            let start = clock.now
            await pager.shutdown(within: .milliseconds(100))
            #expect(clock.now - start < .seconds(20))
            #expect(await waiter.value != nil)
            let losses = log.failures.filter { $0.action == .dropped }
            let loss = try #require(losses.first?.error as? PagerError)
            #expect(losses.count == 1 && loss.code == .notWritten)
            #expect(loss.ranges.reduce(0) { $0 + $1.byteCount } >= 60 * page)
            #expect(region.load(fromByteOffset: 59 * page + 8, as: UInt64.self) == 3)
            isOver.open()
        }
    }

    @Test func `a pager that is dropped, and a reactor that ends, tell what is lost`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(10))
        let log = FailureLog()
        let reactor = try Reactor.start()
        let pager = try await Pager(
            on: reactor, configuration: Pager.Configuration(onFailure: { log.add($0) }))
        let region = try await pager.map(store: memory)
        await write(region, 0..<3, 3)
        await reactor.shutdown()
        #expect((log.failures.last?.error as? PagerError)?.ranges.map(\.byteCount) == [3 * page])
        await #expect(throws: PagerError.self) { try await region.flush() }
        await #expect(throws: PagerError.self) { try await pager.map(store: memory) }
        await pager.shutdown()
    }

    @Test func `a region that goes gives its share of the budget to others`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(200))
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager { pager in
            for _ in 0..<2 {
                let first = try await pager.map(store: memory, byteCount: 100 * page, budget: budget)
                let second = try await pager.map(
                    store: memory, startingAt: 100 * page, byteCount: 100 * page, budget: budget)
                await write(first, 0..<100, 4)
                await write(second, 0..<100, 5)
                #expect(
                    try await PagedPages.residentPages(first) + PagedPages.residentPages(second) <= 64)
                try await pager.unmap(first)
                await write(second, 0..<100, 6)
                try await pager.unmap(second)
                #expect(await pager.usedByteCount(of: budget) == 0)
            }
        }
    }

    @Test func `what cannot be is refused, with a reason`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(64))
        func code(_ body: () async throws -> Void) async -> PagerError.Code? {
            do {
                try await body()
                return nil
            } catch { return (error as? PagerError)?.code }
        }
        #expect(await code { _ = try MemoryBudget(byteCount: 63 * page) } == .invalidBudget)
        #expect(
            await code { _ = try MemoryBudget(byteCount: 64 * page, highWatermark: 65 * page) }
                == .invalidBudget)
        #expect(
            await code {
                _ = try MemoryBudget(byteCount: 64 * page, highWatermark: page, lowWatermark: 2 * page)
            } == .invalidBudget)
        #expect(await code { _ = try MemoryBudget(byteCount: 64 * page, lowWatermark: 0) } == .invalidBudget)
        let budget = try MemoryBudget(byteCount: 64 * page)
        #expect(budget.highWatermark == 60 * page && budget.lowWatermark == 56 * page)
        try await withPager { pager in
            let outside = await code { _ = try await pager.map(store: memory, startingAt: 64 * page) }
            #expect(outside == .invalidRange)
            let long = await code { _ = try await pager.map(store: memory, byteCount: 65 * page) }
            #expect(long == .invalidRange)
            let none = await code { _ = try await pager.map(store: memory, byteCount: 0) }
            #expect(none == .invalidRange)
            let huge = await code {
                _ = try await pager.map(store: memory, options: RegionOptions(usesHugePages: true))
            }
            #expect(huge == .unsupportedOperation)
            let plain = try await pager.map(byteCount: page, handler: ZeroFillHandler())
            #expect(await code { try await plain.flush() } == .unsupportedOperation)
            _ = try await pager.map(store: memory, budget: budget)
            try await withPager { other in
                let taken = await code { _ = try await other.map(store: memory, budget: budget) }
                #expect(taken == .invalidBudget)
            }
        }
        // Its pager is gone: it may be used again.
        try await withPager { pager in _ = try await pager.map(store: memory, budget: budget) }
    }

    @Test(.requiresUserfaultfd([.removeEvents, .writeProtectFaults]))
    func `a descriptor that reports removals is refused: dropping a page would wait for itself`() async throws
    {
        let memory = try MemoryStore(copying: PagedPages.numbered(64))
        let reactor = try Reactor.start()
        let pager = try await Pager(
            on: reactor, descriptor: try Userfaultfd(requiring: [.removeEvents, .writeProtectFaults]))
        let error = await #expect(throws: PagerError.self) { try await pager.map(store: memory) }
        #expect(error?.code == .unsupportedOperation)
        await pager.shutdown()
        await reactor.shutdown()
    }
}
