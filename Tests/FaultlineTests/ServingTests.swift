import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct ServingTests {
    let page = SystemPage.size

    @Test func `one page is served, and only that one`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 16 * page, handler: NumberedPages())
            let thread = FaultingThread {
                region.load(fromByteOffset: 3 * region.pageSize + 8, as: UInt64.self)
            }
            #expect(await thread.value == 3)
            let statistics = await pager.statistics
            #expect(statistics.requests == 1)
            #expect(statistics.presentPages == 1)
            #expect(statistics.inFlightPages == 0)
            #expect(statistics.copies == 1)
            #expect(statistics.wakes == 0, "the copy of a single page wakes its thread itself")
        }
    }

    @Test(arguments: [WakePolicy.immediate, .endOfTurn, .adaptive])
    func `many pages, read by many threads in any order, hold what they should`(policy: WakePolicy)
        async throws
    {
        try await withPager(Pager.Configuration(wakePolicy: policy)) { pager in
            let pages = TestProcess.hasSanitizer ? 300 : 2000
            let region = try await pager.map(byteCount: pages * page, handler: NumberedPages(first: 7))
            let threads = (0..<8).map { seed in
                FaultingThread {
                    var order = Array(0..<pages)
                    var generator = SeededGenerator(seed: UInt64(seed))
                    order.shuffle(using: &generator)
                    return order.allSatisfy { number in
                        let first = region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
                        let last = region.load(
                            fromByteOffset: (number + 1) * region.pageSize - 8, as: UInt64.self)
                        return first == UInt64(number) + 7 && last == first
                    }
                }
            }
            for thread in threads { #expect(await thread.value) }
            let statistics = await pager.statistics
            #expect(statistics.presentPages == pages)
            #expect(statistics.bytes == pages * page)
        }
    }

    @Test func `many threads on one page make one call of the handler`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                try await request.waitOnTimer(.milliseconds(2), on: pager.reactor)
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let threads = await faultTogether(
                region, at: (0..<32).map { 2 * page + 8 * $0 }, as: UInt64.self)
            for thread in threads { #expect(await thread.value == 2) }
            #expect(handler.callCount == 1)
            #expect(await pager.statistics.copies == 1)
        }
    }

    @Test func `neighbours that fault together become one request and one copy`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 64 * page, handler: NumberedPages())
            let threads = await faultTogether(
                region, at: [5, 3, 4, 6, 20, 22, 21].map { $0 * page }, as: UInt64.self)
            #expect(await threads[0].value == 5)
            for thread in threads { _ = await thread.value }
            let statistics = await pager.statistics
            #expect(statistics.messages == 7)
            #expect(statistics.requests == 2)
            #expect(statistics.copies == 2)
            #expect(statistics.wakes == 1, "one wake over both runs")
        }
    }

    @Test func `a handler that suspends on a timer is resumed on the loop`() async throws {
        try await withPager { pager in
            let reactor = pager.reactor
            let handler = ClosureHandler { request in
                #expect(reactor.isOnLoop)
                try await request.waitOnTimer(.milliseconds(1), on: reactor)
                #expect(reactor.isOnLoop)
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
            #expect(await thread.value == 1)
        }
    }

    @Test func `other pages are served while a handler is suspended`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                if request.offset == 0 { await gate.wait() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 8 * page, handler: handler)
            let slow = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            await slow.waitUntilParked()
            let quick = FaultingThread { region.load(fromByteOffset: 5 * region.pageSize, as: UInt64.self) }
            #expect(await quick.value == 6)
            #expect(!slow.isFinished)
            gate.open()
            #expect(await slow.value == 1)
        }
    }

    @Test func `parts of an answer let their threads go before the rest is known`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                let last = AddressRange(
                    start: request.range.end - UInt(request.pageSize), byteCount: request.pageSize)
                var early = try request.makeBuffer(byteCount: request.pageSize)
                early.store(UInt64(77), toByteOffset: 0)
                try await request.supply(Resolution.copy(early).covering(last))
                await #expect(throws: PagerError.self) {
                    try await request.supply(Resolution.zero.covering(last))
                }
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 100))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let threads = await faultTogether(region, at: [0, page, 2 * page], as: UInt64.self)
            #expect(await threads[2].value == 77)
            #expect(!threads[0].isFinished && !threads[1].isFinished)
            gate.open()
            #expect(await threads[0].value == 100)
            #expect(await threads[1].value == 101)
            #expect(handler.callCount == 1)
        }
    }

    @Test(.requiresKernelFaults) func `an answer to ask again is asked again, without end`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in .retry(after: .microseconds(200)) }
            let region = try await pager.map(byteCount: page, handler: handler)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
            while handler.callCount < 5 { await Task.yield() }
            #expect(!thread.isFinished)
            #expect(await pager.statistics.failures == 0)
            await pager.shutdown(within: .zero)
            #expect(await thread.value == nil)
        }
    }

    @Test func `a page that went away behind our back is supplied anew`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 9))
            for _ in 0..<3 {
                let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
                #expect(await thread.value == 10)
                #expect(MemoryProbe.discard(region.range.start, byteCount: region.byteCount))
            }
        }
    }

    @Test(.requiresKernelFaults) func `system calls wait for pages as threads do`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 0x4142_4344))
            let reader = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 4) }
            #expect(await reader.value == [0x44, 0x43, 0x42, 0x41])
            let start = region.range.start + UInt(2 * page)
            let writer = FaultingThread { MemoryProbe.writeThroughKernel(start, [1, 2, 3, 4]) }
            #expect(await writer.value)
            let check = FaultingThread { region.readBytes(2 * region.pageSize..<2 * region.pageSize + 8) }
            #expect(await check.value == [1, 2, 3, 4, 0, 0, 0, 0])
        }
    }

    @Test func `a thread hit by signals while it waits gets its page once, and right`() async throws {
        MemoryProbe.handleQuietly(signal: 12)
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread { region.load(fromByteOffset: 3 * region.pageSize, as: UInt64.self) }
            for _ in 0..<50 {
                await thread.waitUntilParked()
                thread.signal(12)
            }
            await thread.waitUntilParked()
            gate.open()
            #expect(await thread.value == 3)
            #expect(handler.callCount == 1)
            #expect(await pager.statistics.copies == 1)
        }
    }

    @Test func `requests say where, why and who`() async throws {
        try await withPager(Pager.Configuration(reportsThreadIDs: true)) { pager in
            let handler = ClosureHandler { request in
                #expect(request.kind == .missing)
                #expect(request.pageCount == 1)
                #expect(request.attempt == 0)
                var buffer = try request.makeBuffer()
                buffer.store(request.isWrite, toByteOffset: 0)
                buffer.store(request.threadID ?? 0, toByteOffset: 4)
                return .copy(buffer)
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let reader = FaultingThread { region.load(fromByteOffset: 4, as: UInt32.self) }
            #expect(await reader.value == UInt32(reader.threadID))
            let writer = FaultingThread {
                region.store(UInt32(0), toByteOffset: region.pageSize + 8)
                return region.load(fromByteOffset: region.pageSize, as: Bool.self)
            }
            #expect(await writer.value)
        }
    }
}

extension FaultRequest {
    /// Suspends on a timer of the reactor.
    func waitOnTimer(_ duration: Duration, on reactor: Reactor) async throws {
        try await reactor.sleep(for: duration)
    }
}

/// A small generator whose seed makes a run repeatable.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}
