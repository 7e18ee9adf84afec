import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Pages on their way to their store: flushes, failures, and the end of regions.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct PagingWriteTests {
    let page = SystemPage.size

    /// A store of `pages` numbered pages with a script in front of it.
    private func scripted(
        _ pages: Int, _ script: @escaping @Sendable (FaultyStore.Call) async throws -> FaultyStore.Trouble
    ) throws -> (store: FaultyStore, memory: MemoryStore) {
        let memory = try MemoryStore(copying: PagedPages.numbered(pages))
        return (FaultyStore(memory, answersNow: true, script: script), memory)
    }

    /// Writes a number into the second word of pages, one after the other.
    private func write(_ region: Region, _ numbers: some Sequence<Int> & Sendable, _ value: UInt64)
        -> FaultingThread<Bool>
    {
        FaultingThread {
            for number in numbers { region.store(value, toByteOffset: number * region.pageSize + 8) }
            return true
        }
    }

    private func value(_ memory: MemoryStore, _ number: Int) -> UInt64 {
        PagedPages.word(memory.readBytes(number * page + 8..<number * page + 16), at: 0)
    }

    @Test func `a flush returns when all is written and the store flushed, in this order`() async throws {
        let (store, memory) = try scripted(100) { _ in .none }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            try await region.flush()
            #expect(store.calls.map(\.operation).filter { $0 != .readNow } == [.flush], "nothing to write")
            #expect(await write(region, [3, 4, 5, 40, 41, 99], 7).value)
            #expect(value(memory, 3) == 0, "nobody has asked for it")
            #expect(await pager.statistics.dirtyPages == 6)
            try await region.flush()
            let calls = store.calls.filter { $0.operation == .write || $0.operation == .flush }
            #expect(calls.map(\.operation) == [.flush, .write, .flush])
            #expect(
                calls[1].ranges == [3 * page..<6 * page, 40 * page..<42 * page, 99 * page..<100 * page],
                "neighbours together, all in one call")
            for number in [3, 4, 5, 40, 41, 99] { #expect(value(memory, number) == 7) }
            let statistics = await pager.statistics
            #expect(statistics.dirtyPages == 0)
            #expect(statistics.writeBacks == 1 && statistics.flushes == 2)
            #expect(statistics.writtenBytes == 6 * page)
            #expect(statistics.presentPages == 6, "a flush takes nothing out of memory")
            // Clean pages are protected again: the next write is noticed.
            #expect(await write(region, [4], 8).value)
            #expect(await pager.statistics.dirtyPages == 1)
            try await region.flush()
            #expect(value(memory, 4) == 8)
        }
    }

    @Test func `a page that is written while it is on its way is written again`() async throws {
        let isWriting = Gate()
        let mayGoOn = Gate()
        let (store, memory) = try scripted(4) { call in
            if call.operation == .write, call.number == 1 {
                isWriting.open()
                await mayGoOn.wait()
            }
            return .none
        }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            #expect(await write(region, 0..<4, 1).value)
            async let first: Void = region.flush()
            await isWriting.wait()
            // Nobody waits for the store: neither readers nor writers.
            #expect(await FaultingThread { region.load(fromByteOffset: 8, as: UInt64.self) }.value == 1)
            #expect(await write(region, [2], 2).value)
            async let second: Void = region.flush()
            mayGoOn.open()
            try await first
            try await second
            #expect(value(memory, 2) == 2)
            #expect(value(memory, 3) == 1)
            #expect(await pager.statistics.dirtyPages == 0)
        }
    }

    @Test func `writers go on during a flush, and do not hold it up`() async throws {
        let (store, memory) = try scripted(64) { _ in .none }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            let isOver = Lock(false)
            let writer = FaultingThread {
                var round: UInt64 = 0
                while !isOver.withLock({ $0 }) {
                    round += 1
                    for number in 0..<64 { region.store(round, toByteOffset: number * region.pageSize + 8) }
                }
                return round
            }
            for _ in 0..<8 {
                let before = FaultingThread {
                    region.load(fromByteOffset: 63 * region.pageSize + 8, as: UInt64.self)
                }
                let written = await before.value
                try await region.flush()
                #expect(value(memory, 63) >= written)
            }
            isOver.withLock { $0 = true }
            let last = await writer.value
            try await region.flush()
            for number in 0..<64 { #expect(value(memory, number) == last) }
        }
    }

    @Test func `a flush that fails says which ranges, and loses nothing`() async throws {
        let isBroken = Lock(true)
        let (store, memory) = try scripted(100) { call in
            // Pages 50 to 59 are on a bad spot.
            let isBad = call.ranges.contains { $0.overlaps(50 * SystemPage.size..<60 * SystemPage.size) }
            if call.operation == .write, isBad, isBroken.withLock({ $0 }) {
                throw StoreError(.inputOutput, "a bad spot")
            }
            return .none
        }
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(store: store, options: RegionOptions(name: "precious"))
            #expect(await write(region, 55..<57, 7).value)
            let error = await #expect(throws: PagerError.self) { try await region.flush() }
            let range = AddressRange(start: region.range.start + UInt(55 * page), byteCount: 2 * page)
            #expect(error?.code == .notWritten)
            #expect(error?.ranges == [range])
            #expect((error?.underlyingError as? StoreError)?.code == .inputOutput)
            #expect(await pager.statistics.dirtyPages == 2, "they stay, and stay dirty")
            let told = try #require(log.failures.first)
            #expect(told.region == "precious" && told.range == range)
            guard case .retrying = told.action else {
                Issue.record("\(told.action)")
                return
            }
            isBroken.withLock { $0 = false }
            try await region.flush()
            #expect(value(memory, 55) == 7 && value(memory, 56) == 7)
        }
    }

    @Test func `what a store may have lost in a failed flush is written again`() async throws {
        let (store, memory) = try scripted(10) { call in
            if call.operation == .flush, call.number == 1 { throw StoreError(.inputOutput, "lost") }
            return .none
        }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            #expect(await write(region, 2..<5, 7).value)
            let error = await #expect(throws: PagerError.self) { try await region.flush() }
            #expect(error?.code == .notWritten)
            #expect(error?.ranges.map(\.byteCount) == [3 * page])
            #expect(await pager.statistics.dirtyPages == 3)
            try await region.flush()
            #expect(store.count(.write) == 2, "once more, though nobody has changed them")
            #expect(value(memory, 4) == 7)
        }
    }

    @Test func `flushes at the same time share the store's, and its failure`() async throws {
        let isFlushing = Gate()
        let mayGoOn = Gate()
        let (store, memory) = try scripted(100) { call in
            guard call.operation == .flush, call.number == 1 else { return .none }
            isFlushing.open()
            await mayGoOn.wait()
            throw StoreError(.inputOutput, "lost")
        }
        try await withPager { pager in
            let region = try await pager.map(store: store)
            #expect(await write(region, 2..<5, 7).value)
            let first = Task { try await region.flush() }
            await isFlushing.wait()
            // What this one writes is in the store in time, but the call that is under way does not answer for it.
            #expect(await write(region, [50], 8).value)
            let other = Task { try await region.flush() }
            while await pager.statistics.dirtyPages > 0 {}
            #expect(store.count(.flush) == 1, "one at a time")
            mayGoOn.open()
            await #expect(throws: PagerError.self) { try await first.value }
            let error = await #expect(throws: PagerError.self) { try await other.value }
            #expect(error?.ranges.first?.byteCount == 3 * page, "the store will not tell it")
            async let second: Void = region.flush()
            async let third: Void = region.flush()
            try await second
            try await third
            #expect(store.count(.flush) <= 3)
            #expect(value(memory, 4) == 7 && value(memory, 50) == 8)
            #expect(await pager.statistics.dirtyPages == 0)
        }
    }

    @Test func `regions over one store write anew what it may have lost of theirs`() async throws {
        let isFlushing = Gate()
        let mayGoOn = Gate()
        let (store, memory) = try scripted(20) { call in
            guard call.operation == .flush else { return .none }
            if call.number == 2 { throw StoreError(.inputOutput, "lost") }
            guard call.number == 1 else { return .none }
            isFlushing.open()
            await mayGoOn.wait()
            return .none
        }
        try await withPager { pager in
            let first = try await pager.map(store: store, byteCount: 10 * page)
            let second = try await pager.map(store: store, startingAt: 10 * page, byteCount: 10 * page)
            #expect(await write(second, 2..<5, 7).value)
            let flush = Task { try await second.flush() }
            await isFlushing.wait()
            #expect(await write(first, [9], 7).value)
            await #expect(throws: PagerError.self) { try await first.flush() }
            mayGoOn.open()
            // The call of the store has succeeded, since the other one has been told of the loss.
            let error = await #expect(throws: PagerError.self) { try await flush.value }
            #expect(error?.ranges.map(\.byteCount) == [3 * page])
            #expect(await pager.statistics.dirtyPages == 4)
            try await first.flush()
            try await second.flush()
            #expect(await pager.statistics.dirtyPages == 0)
            #expect(value(memory, 9) == 7 && value(memory, 14) == 7)
        }
    }

    @Test func `a store that fails now and then loses nothing, and the owner is told`() async throws {
        let (store, memory) = try scripted(300) { call in
            if call.operation == .write, call.number % 3 != 0 {
                return .breakOff(afterByteCount: 5000, StoreError(.noSpace, "full, for now"))
            }
            return .none
        }
        let log = FailureLog()
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(store: store, budget: budget)
            let writers = (0..<3).map { write(region, stride(from: $0, to: 300, by: 3), 9) }
            for writer in writers { #expect(await writer.value) }
            #expect(try await PagedPages.residentPages(region) <= 64)
            while (try? await region.flush()) == nil {}
            for number in 0..<300 {
                #expect(value(memory, number) == 9)
                #expect(
                    PagedPages.word(memory.readBytes(number * page..<number * page + 8), at: 0)
                        == UInt64(number))
            }
        }
        #expect(!log.failures.isEmpty)
        #expect(log.failures.allSatisfy { ($0.error as? StoreError)?.code == .noSpace })
    }

    @Test func `threads wait at the limit while nothing can be written, and no longer`() async throws {
        let isUp = Gate()
        let (store, memory) = try scripted(256) { call in
            if call.operation == .write { await isUp.wait() }
            return .none
        }
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager { pager in
            let region = try await pager.map(store: store, budget: budget)
            let writers = (0..<4).map { write(region, stride(from: $0, to: 256, by: 4), 5) }
            while await pager.statistics.budgetWaits == 0 {}
            for writer in writers { await writer.waitUntilParked() }
            // Neighbours that are asked for together wait for room for all of them, which are at most 8 here.
            let resident = try await PagedPages.residentPages(region)
            #expect((57...64).contains(resident))
            #expect(await pager.usedByteCount(of: budget) == resident * page)
            // What is in memory can be read and written all the same.
            #expect(await FaultingThread { region.load(fromByteOffset: 8, as: UInt64.self) }.value == 5)
            isUp.open()
            for writer in writers { #expect(await writer.value) }
            try await region.flush()
            for number in 0..<256 { #expect(value(memory, number) == 5) }
            #expect(await pager.usedByteCount(of: budget) == (await pager.statistics.presentPages) * page)
        }
    }
}
