import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Evictions, writes and faults that come in each other's way.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct PagingTroubleTests {
    let page = SystemPage.size

    private func touch(_ region: Region, _ numbers: some Sequence<Int> & Sendable) -> FaultingThread<[Int]> {
        FaultingThread {
            numbers.filter {
                region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) != UInt64($0)
            }
        }
    }

    /// Reads all pages of a region: some of them have to leave memory for that.
    private func readAll(_ region: Region) async {
        #expect(await touch(region, 0..<region.pageCount).value == [])
    }

    @Test func `a thread that is about to write to a page while it leaves memory finds it again`()
        async throws
    {
        let memory = try MemoryStore(copying: PagedPages.numbered(256))
        let budget = try MemoryBudget(byteCount: 64 * page)
        let region = Lock<Region?>(nil)
        let writers = Lock<[(page: Int, thread: FaultingThread<UInt64>)]>([])
        try await withScriptedPager(script: { call, _ in
            guard call.kind == .discard, let region = region.withLock({ $0 }) else { return nil }
            let count = writers.withLock { $0.count }
            guard count < 5 else { return nil }
            // The page is protected and still there. Its writer is stopped now, and its message unread when the page goes.
            let number = Int(call.range.start - region.range.start) / region.pageSize
            let thread = FaultingThread {
                region.store(UInt64(77), toByteOffset: number * region.pageSize + 8)
                return region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
            }
            while !thread.isParked {}
            writers.withLock { $0.append((number, thread)) }
            return nil
        }) { pager, kernel in
            let mapped = try await pager.map(store: memory, budget: budget)
            region.withLock { $0 = mapped }
            await readAll(mapped)
            await readAll(mapped)
            let done = writers.withLock { $0 }
            #expect(done.count == 5)
            for (number, thread) in done { #expect(await thread.value == UInt64(number)) }
            try await mapped.flush()
            for (number, _) in done {
                #expect(
                    PagedPages.word(memory.readBytes(number * page + 8..<number * page + 16), at: 0) == 77)
            }
            region.withLock { $0 = nil }
            writers.withLock { $0 = [] }
        }
    }

    @Test func `pages of which the kernel does not let go stay, and the others make room`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(256))
        let budget = try MemoryBudget(byteCount: 64 * page)
        let log = FailureLog()
        let refused = Lock<Set<UInt>>([])
        let configuration = Pager.Configuration(onFailure: { log.add($0) })
        try await withScriptedPager(
            configuration,
            script: { call, _ in
                guard call.kind == .discard else { return nil }
                let isRefused = refused.withLock { refused in
                    if refused.count < 3 { refused.insert(call.range.start) }
                    return refused.contains(call.range.start)
                }
                return isRefused ? .again : nil
            }
        ) { pager, _ in
            let region = try await pager.map(store: memory, budget: budget)
            await readAll(region)
            await readAll(region)
            #expect(log.failures.count == 3)
            #expect(log.failures.allSatisfy { ($0.error as? PagerError)?.code == .kernel })
            let stuck = log.failures.reduce(0) { $0 + $1.range.byteCount / page }
            let used = await pager.usedByteCount(of: budget) / page
            let present = await pager.statistics.presentPages
            #expect(present == used + stuck)
            #expect(used <= 64)
            try await pager.unmap(region)
            #expect(await pager.usedByteCount(of: budget) == 0)
        }
    }

    @Test func `a kernel that is busy for a while is asked again`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(256))
        let budget = try MemoryBudget(byteCount: 64 * page)
        let number = Lock(0)
        try await withScriptedPager(script: { call, _ in
            guard [.protect, .unprotect, .copy].contains(call.kind) else { return nil }
            let count = number.withLock { number in
                number += 1
                return number
            }
            return count % 3 == 0 ? .again : nil
        }) { pager, _ in
            let region = try await pager.map(store: memory, budget: budget)
            let threads = (0..<3).map { thread in
                FaultingThread {
                    for number in 0..<256 {
                        let offset = number * region.pageSize + 8 + 8 * thread
                        _ = region.load(fromByteOffset: offset, as: UInt64.self)
                        region.store(UInt64(number + 1), toByteOffset: offset)
                    }
                }
            }
            for thread in threads { await thread.value }
            while (try? await region.flush()) == nil {}
            for number in 0..<256 {
                for thread in 0..<3 {
                    let start = number * page + 8 + 8 * thread
                    #expect(PagedPages.word(memory.readBytes(start..<start + 8), at: 0) == UInt64(number + 1))
                }
            }
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test func `a page that somebody else has installed counts as changed`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(8))
        let other = try PageSource(copying: [UInt8](repeating: 9, count: SystemPage.size))
        try await withScriptedPager(script: { call, kernel in
            guard call.kind == .copy, call.source != other.range.start else { return nil }
            let first = AddressRange(start: call.range.start, byteCount: SystemPage.size)
            #expect(kernel.copy(from: other.range.start, to: first, wake: false, protect: false) == .whole)
            return nil
        }) { pager, _ in
            let region = try await pager.map(store: memory)
            #expect(
                await FaultingThread { region.load(fromByteOffset: 5 * region.pageSize, as: UInt8.self) }
                    .value == 9)
            try await region.flush()
            #expect(memory.readBytes(5 * page..<6 * page) == [UInt8](repeating: 9, count: page))
        }
    }

    @Test func `pages that the program drops come from the store again`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(128))
        let budget = try MemoryBudget(byteCount: 100 * page)
        try await withPager { pager in
            let region = try await pager.map(store: memory, budget: budget)
            for _ in 0..<4 {
                await readAll(region)
                #expect(MemoryProbe.discard(region.range.start, byteCount: region.byteCount))
            }
            await readAll(region)
            #expect(try await PagedPages.residentPages(region) <= 100)
        }
    }

    @Test func `pages that the program drops on their way to the store hold nobody up`() async throws {
        let isUp = Gate()
        let memory = try MemoryStore(copying: PagedPages.numbered(256))
        let store = FaultyStore(memory, answersNow: true) { call in
            if call.operation == .write { await isUp.wait() }
            return .none
        }
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager { pager in
            let region = try await pager.map(store: store, budget: budget)
            let writers = (0..<4).map { first in
                FaultingThread {
                    for number in stride(from: first, to: 256, by: 4) {
                        region.store(UInt64(5), toByteOffset: number * region.pageSize + 8)
                    }
                }
            }
            while await pager.statistics.budgetWaits == 0 {}
            for writer in writers { await writer.waitUntilParked() }
            // All the memory there is holds pages that are to be written, and all threads that write find theirs gone.
            #expect(MemoryProbe.discard(region.range.start, byteCount: region.byteCount))
            isUp.open()
            for writer in writers { await writer.value }
            #expect(try await PagedPages.residentPages(region) <= 64)
            try await region.flush()
            let wrong = FaultingThread {
                (0..<256).filter { number in
                    let bytes = region.readBytes(
                        number * region.pageSize..<(number + 1) * region.pageSize)
                    let isRight = [0, 5].contains(PagedPages.word(bytes, at: 8))
                    let range = number * region.pageSize..<(number + 1) * region.pageSize
                    return !isRight || bytes != memory.readBytes(range)
                }
            }
            #expect(await wrong.value == [])
            #expect(await pager.usedByteCount(of: budget) == (await pager.statistics.presentPages) * page)
        }
    }

    @Test func `a page that was dropped can be written where system calls are not served`() async throws {
        let file = TemporaryFile(PagedPages.numbered(8), in: "/dev/shm")
        let store = try FileStore(path: file.path)
        let reactor = try Reactor.start()
        let pager = try await Pager(
            on: reactor,
            descriptor: try Userfaultfd(requiring: .writeProtectFaults, trying: [.userModeOnly]))
        let region = try await pager.map(store: store)
        await FaultingThread {
            for number in 0..<8 { region.store(UInt64(5), toByteOffset: number * region.pageSize + 8) }
        }.value
        #expect(MemoryProbe.discard(region.range.start + UInt(3 * page), byteCount: page))
        try await region.flush()
        for number in 0..<8 {
            #expect(PagedPages.word(file.bytes, at: number * page + 8) == (number == 3 ? 0 : 5))
        }
        await pager.shutdown()
        await reactor.shutdown()
    }

    @Test(.requiresKernelFaults) func `locked pages leave memory too`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(256))
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager { pager in
            let region = try await pager.map(store: memory, budget: budget)
            // Makes every page present, one after the other: each time another has to go, locked or not.
            let locker = FaultingThread { MemoryProbe.lock(region.range.start, byteCount: region.byteCount) }
            #expect(await locker.value)
            await readAll(region)
            #expect(try await PagedPages.residentPages(region) <= 64)
        }
    }

    @Test(.requiresKernelFaults) func `pages that cannot be read do not use up the budget`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(512))
        let store = FaultyStore(memory) { call in
            // Every second page is bad.
            if call.operation == .read, call.ranges[0].lowerBound / SystemPage.size % 2 == 1 {
                throw StoreError(.inputOutput, "a bad spot")
            }
            return .none
        }
        let budget = try MemoryBudget(byteCount: 64 * page)
        try await withPager { pager in
            let region = try await pager.map(store: store, budget: budget)
            let thread = FaultingThread {
                (0..<512).filter {
                    MemoryProbe.readThroughKernel(region.range.start + UInt($0 * region.pageSize), count: 8)
                        == nil
                }
            }
            #expect(await thread.value == Array(stride(from: 1, to: 512, by: 2)))
            #expect(await pager.usedByteCount(of: budget) <= 64 * page)
            #expect(await pager.statistics.poisonedPages == 256)
            try await pager.unmap(region)
            #expect(await pager.usedByteCount(of: budget) == 0)
        }
    }

    @Test func `a prefetch fills the room there is, and pushes nobody out`() async throws {
        let memory = try MemoryStore(copying: PagedPages.numbered(512))
        let budget = try MemoryBudget(byteCount: 128 * page)
        try await withPager { pager in
            let region = try await pager.map(store: memory, budget: budget)
            let done = try await region.prefetch()
            #expect(done.requestedPages == 512)
            #expect(done.failedPages == 512 - 120, "as far as the high watermark")
            #expect(await pager.statistics.evictedPages == 0)
            #expect(try await PagedPages.residentPages(region) == 120)
            await readAll(region)
        }
    }

    @Test(arguments: [0, 100, 4096 + 17]) func `a store of odd length from an odd offset on`(offset: Int)
        async throws
    {
        let bytes = HandlerTests.pattern(10 * page + 123)
        let memory = try MemoryStore(copying: bytes)
        try await withPager { pager in
            let region = try await pager.map(store: memory, startingAt: offset)
            let count = bytes.count - offset
            #expect(region.byteCount == (count + page - 1) / page * page)
            let thread = FaultingThread {
                let before = region.readBytes(0..<region.byteCount)
                region.writeBytes([UInt8](repeating: 0xAB, count: region.byteCount), at: 0)
                return before
            }
            #expect(await thread.value == HandlerTests.expected(bytes, from: offset, pages: region.pageCount))
            try await region.flush()
            let expected = bytes.prefix(offset) + [UInt8](repeating: 0xAB, count: count)
            #expect(memory.readBytes(0..<bytes.count) == Array(expected))
        }
    }

    @Test func `holes of a sparse store come as zeroes, and are written when they are written to`()
        async throws
    {
        let file = TemporaryFile([], in: "/dev/shm")
        let store = try FileStore(
            path: file.path, options: FileStore.Options(byteCount: 200 * page, isSparse: true))
        try await withPager { pager in
            let region = try await pager.map(store: store, budget: try MemoryBudget(byteCount: 64 * page))
            let thread = FaultingThread {
                (0..<200).filter { number in
                    let offset = number * region.pageSize
                    let isZero = region.load(fromByteOffset: offset, as: UInt64.self) == 0
                    if number % 50 == 0 { region.store(UInt64(5), toByteOffset: offset) }
                    return !isZero
                }
            }
            #expect(await thread.value == [])
            try await region.flush()
            #expect(file.diskByteCount == 4 * page, "reading a hole does not fill it")
            for number in [0, 50, 100, 150] {
                #expect(file.bytes[number * page] == 5)
            }
        }
    }
}
