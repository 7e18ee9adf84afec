import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct PrefetchTests {
    let page = SystemPage.size

    @Test(arguments: [false, true]) func `everything is there before it is touched`(isAsync: Bool)
        async throws
    {
        try await withPager { pager in
            let handler: any FaultHandler =
                isAsync
                ? ClosureHandler { request in
                    try await request.waitOnTimer(.microseconds(100), on: pager.reactor)
                    return try .copy(NumberedPages.buffer(for: request))
                } : NumberedPages()
            let region = try await pager.map(byteCount: 3000 * page, handler: handler)
            #expect(await ReadAheadTests.read(region, [17]).value == [])
            let reports = Lock<[PrefetchProgress]>([])
            let done = try await region.prefetch { report in reports.withLock { $0.append(report) } }
            #expect(done.requestedPages == 2999)
            #expect(done.skippedPages == 1)
            #expect(done.failedPages == 0)
            #expect(done.fraction == 1)
            let fractions = reports.withLock { $0.map(\.fraction) }
            #expect(fractions == fractions.sorted() && fractions.count == 3000 / 256 + 1)
            let before = await pager.statistics
            #expect(await ReadAheadTests.read(region, 0..<3000).value == [])
            #expect(await pager.statistics.messages == before.messages)
        }
    }

    @Test func `a part, and no more`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 100 * page, handler: NumberedPages())
            let part = AddressRange(start: region.range.start + UInt(10 * page), byteCount: 20 * page)
            #expect(try await region.prefetch(part).requestedPages == 20)
            #expect(await pager.statistics.presentPages == 20)
            let outside = AddressRange(start: region.range.start, byteCount: 101 * page)
            await #expect(throws: PagerError.self) { try await region.prefetch(outside) }
            region.willNeed(outside)
            while await pager.statistics.presentPages < 100 {}
        }
    }

    @Test func `faults go first`() async throws {
        try await withPager { pager in
            let isStarted = Gate()
            let isServed = Gate()
            let handler = ClosureHandler { request in
                if request.demand.isEmpty {
                    isStarted.open()
                    await isServed.wait()
                }
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 6000 * page, handler: handler)
            async let all = region.prefetch()
            await isStarted.wait()
            #expect(await ReadAheadTests.read(region, [5999]).value == [])
            #expect(await pager.statistics.presentPages == 1, "it did not wait for the rest")
            isServed.open()
            #expect(try await all.skippedPages == 1)
        }
    }

    @Test func `what cannot be had ahead of time comes when it is touched`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                if request.demand.isEmpty { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 600 * page, handler: handler)
            let done = try await region.prefetch()
            #expect(done.failedPages == 600)
            #expect(await ReadAheadTests.read(region, 0..<600).value == [])
            #expect(await pager.statistics.poisonedPages == 0)
        }
    }

    @Test func `a prefetch ends with its task, its region and its pager`() async throws {
        try await withPager { pager in
            func slowRegion(_ isStarted: Gate) async throws -> Region {
                let handler = ClosureHandler { request in
                    isStarted.open()
                    try await request.waitOnTimer(.seconds(30), on: pager.reactor)
                    return .zero
                }
                return try await pager.map(byteCount: 6000 * page, handler: handler)
            }
            let areStarted = [Gate(), Gate(), Gate()]
            let first = try await slowRegion(areStarted[0])
            let second = try await slowRegion(areStarted[1])
            let third = try await slowRegion(areStarted[2])
            let cancelled = Task { try await first.prefetch() }
            let unmapped = Task { try await second.prefetch() }
            let stopped = Task { try await third.prefetch() }
            for isStarted in areStarted { await isStarted.wait() }
            try await pager.unmap(second)
            #expect(try await unmapped.value.fraction < 1)
            cancelled.cancel()
            await pager.shutdown(within: .zero)
            _ = try? await stopped.value
            _ = try? await cancelled.value
            await #expect(throws: PagerError.self) { try await third.prefetch() }
        }
    }

    @Test func `a recorded order is replayed`() async throws {
        var random = TestRandom(TestSeed())
        let order = Array(0..<2000).shuffled(using: &random)
        let touched = Array(order.prefix(700))
        let trace = try await withPager { pager in
            let region = try await pager.map(
                byteCount: 2000 * page, handler: NumberedPages(), options: RegionOptions(readAhead: .adaptive)
            )
            try await region.startRecording()
            #expect(await ReadAheadTests.read(region, touched).value == [])
            return try await region.stopRecording()
        }
        #expect(trace.runs.flatMap { $0 } == touched)
        try await withPager { pager in
            let handler = ClosureHandler { try .copy(NumberedPages.buffer(for: $0)) }
            let region = try await pager.map(byteCount: 2000 * page, handler: handler)
            let done = try await region.prefetch(try TouchTrace(decoding: trace.encoded()))
            #expect(done.requestedPages == 700)
            #expect(await ReadAheadTests.read(region, touched).value == [])
            #expect(await pager.statistics.messages == 0)
            // 256 pages of 2000 at a time: some ten neighbours in each chunk.
            #expect(handler.callCount < 690, "neighbours in a chunk share a request")
        }
    }

    @Test func `traces survive being written and read`() throws {
        let seed = TestSeed()
        var random = TestRandom(seed)
        for _ in 0..<200 {
            var trace = TouchTrace(pageSize: random.chance(80) ? 4096 : 2 << 20)
            for _ in 0..<random.below(50) {
                let start = random.below(random.chance(90) ? 10_000 : 1 << 40)
                trace.append(start..<start + 1 + random.below(20))
            }
            let bytes = trace.encoded()
            #expect(try TouchTrace(decoding: bytes) == trace, "\(seed)")
            var damaged = bytes
            damaged[random.below(bytes.count)] ^= UInt8(1 + random.below(255))
            #expect(throws: TouchTraceError.self, "\(seed)") { try TouchTrace(decoding: damaged) }
            #expect(throws: TouchTraceError.self) {
                try TouchTrace(decoding: Array(bytes.prefix(random.below(bytes.count))))
            }
        }
        #expect { try TouchTrace(decoding: []) } throws: { ($0 as? TouchTraceError)?.reason == .notATrace }
        var newer = TouchTrace(pageSize: 4096).encoded()
        newer[4] = 2
        #expect { try TouchTrace(decoding: newer) } throws: {
            ($0 as? TouchTraceError)?.reason == .unknownVersion(2)
        }
    }
}
