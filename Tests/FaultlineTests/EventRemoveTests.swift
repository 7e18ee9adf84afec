import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Pages whose contents the application drops.
@Suite(.requiresUserfaultfd(.removeEvents), .timeLimit(.minutes(5)))
struct EventRemoveTests {
    let page = SystemPage.size
    let events = Pager.Configuration(events: .remove)

    @Test func `dropped pages are zero afterwards, whether they were there or not, and can be written`()
        async throws
    {
        try await withPager(events) { pager in
            let region = try await pager.map(byteCount: 12 * page, handler: NumberedPages(first: 1))
            let start = region.range.start
            #expect(await words(start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            #expect(Change.advise(region.addresses(2..<10)) == 0)
            #expect(await words(start, 12) == [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 11, 12])
            let statistics = await pager.statistics
            #expect(statistics.events == 1)
            #expect(statistics.removedAnswers == 8)
            #expect(statistics.presentPages == 12)
            #expect(statistics.inFlightPages == 0)

            let writer = FaultingThread { region.store(UInt64(77), toByteOffset: 3 * region.pageSize) }
            await writer.value
            #expect(await words(start, 4) == [1, 2, 0, 77])
            #expect(Change.advise(region.addresses(3..<4)) == 0)
            #expect(await words(start, 4) == [1, 2, 0, 0])
        }
    }

    @Test func `a handler can be asked again`() async throws {
        try await withPager(events) { pager in
            let round = Lock<UInt64>(0)
            let handler = ClosureHandler { request in
                try .copy(NumberedPages.buffer(for: request, first: round.withLock { $0 }))
            }
            let region = try await pager.map(
                byteCount: 4 * page, handler: handler, options: RegionOptions(removedPages: .askHandler))
            #expect(await words(region.range.start, 4) == [0, 1, 2, 3])
            round.withLock { $0 = 100 }
            #expect(Change.advise(region.addresses(1..<3)) == 0)
            #expect(await words(region.range.start, 4) == [0, 101, 102, 3])
            #expect(await pager.statistics.removedAnswers == 0)
        }
    }

    @Test func `a hole that is punched into shared memory is zero`() async throws {
        try await withPager(events) { pager in
            let memory = try SharedMemory(byteCount: 4 * page)
            let region = try await pager.map(memory, handler: NumberedPages(first: 5))
            #expect(await words(region.range.start, 4) == [5, 6, 7, 8])
            #expect(Change.advise(region.addresses(1..<3), Change.remove) == 0)
            #expect(await words(region.range.start, 4) == [5, 0, 0, 8])
            #expect(memory.load(fromByteOffset: page, as: UInt64.self) == 0)
        }
    }

    @Test func `minor faults on dropped pages are the handler's: the page cache has their contents`()
        async throws
    {
        try await withPager(events) { pager in
            let memory = try SharedMemory(byteCount: 4 * page)
            for number in 0..<4 { memory.store(UInt64(number + 1), toByteOffset: number * page) }
            let handler = ClosureHandler { _ in .mapExisting }
            let region = try await pager.map(
                memory, handler: handler, options: RegionOptions(maximumRequestPages: 1, modes: .minor))
            #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
            #expect(Change.advise(region.range) == 0)
            #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
            #expect(handler.callCount == 8)
        }
    }

    /// Memory whose pages cannot be made zero by the kernel, as huge pages are.
    @Test func `without zero pages, zeroes are copied`() async throws {
        try await withHeldPager(.removeEvents, offering: [.wake, .copy, .poison]) { pager, _ in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
            #expect(Change.advise(region.addresses(1..<4)) == 0)
            #expect(await words(region.range.start, 4) == [1, 0, 0, 0])
            #expect(await pager.statistics.zeroPages == 0)
        }
    }

    @Test(.enabled(if: Loan.refusal(of: .hugePages) == nil, "needs root, to reserve huge pages"))
    func `dropped huge pages are zero`() async throws {
        let loan = try Loan(.hugePages)
        defer { withExtendedLifetime(loan) {} }
        try await withPager(events) { pager in
            let region = try await pager.map(
                byteCount: 2 << 21, handler: NumberedPages(first: 1),
                options: RegionOptions(usesHugePages: true))
            #expect(await words(region.range.start, 2, pageSize: 2 << 20) == [1, 2])
            #expect(Change.advise(region.addresses(1..<2)) == 0)
            #expect(await words(region.range.start, 2, pageSize: 2 << 20) == [1, 0])
        }
    }

    @Test(arguments: [false, true])
    func `an answer that was under way is not what the page holds`(fails: Bool) async throws {
        let log = FailureLog()
        var configuration = events
        configuration.onFailure = { log.add($0) }
        try await withPager(configuration) { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                if fails { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let threads = await faultTogether(region, at: [0, page, 2 * page], as: UInt64.self)
            try await eventually { await pager.statistics.inFlightPages == 3 }
            #expect(Change.advise(region.addresses(1..<2)) == 0)
            try await eventually { await pager.statistics.events == 1 }
            // Who comes now waits for the same request.
            let late = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
            await late.waitUntilParked()
            if fails {
                // The threads on the pages next to it get a bus error, which nobody would survive here.
                #expect(Change.advise(region.range) == 0)
                try await eventually { await pager.statistics.events == 2 }
            }
            gate.open()
            #expect(await late.value == 0)
            #expect(await threads[0].value == (fails ? 0 : 1))
            #expect(await threads[1].value == 0)
            #expect(await threads[2].value == (fails ? 0 : 3))
            #expect(await pager.statistics.inFlightPages == 0)
            #expect(log.failures.isEmpty)
        }
    }

    @Test func `parts that are supplied for dropped pages are replaced as well`() async throws {
        try await withDirectPager(.removeEvents) { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                let half = AddressRange(start: request.range.start, byteCount: 2 * request.pageSize)
                var buffer = try request.makeBuffer(byteCount: half.byteCount)
                for number in 0..<2 { buffer.store(UInt64(8), toByteOffset: number * request.pageSize) }
                try await request.supply(Resolution.copy(buffer).covering(half))
                var rest = try request.makeBuffer(byteCount: 2 * request.pageSize)
                for number in 0..<2 { rest.store(UInt64(9), toByteOffset: number * request.pageSize) }
                return Resolution.copy(rest).covering(
                    AddressRange(start: half.end, byteCount: 2 * request.pageSize))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let threads = await faultTogether(region, at: (0..<4).map { $0 * page }, as: UInt64.self)
            try await eventually { handler.callCount == 1 }
            #expect(Change.advise(region.addresses(1..<3)) == 0)
            try await eventually { await pager.statistics.events == 1 }
            gate.open()
            var values: [UInt64] = []
            for thread in threads { values.append(await thread.value) }
            #expect(values == [8, 0, 0, 9])
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test func `a retry is not asked for pages that were dropped meanwhile`() async throws {
        try await withDirectPager(.removeEvents) { pager in
            let requests = Lock<[Range<Int>]>([])
            let handler = ClosureHandler { request in
                let first = request.offset / request.pageSize
                requests.withLock { $0.append(first..<first + request.pageCount) }
                if requests.withLock({ $0.count }) == 1 { return .retry(after: .seconds(1)) }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 3 * page, handler: handler)
            let threads = await faultTogether(region, at: [0, page, 2 * page], as: UInt64.self)
            try await eventually { handler.callCount == 1 }
            #expect(Change.advise(region.addresses(1..<2)) == 0)
            var values: [UInt64] = []
            for thread in threads { values.append(await thread.value) }
            #expect(values == [1, 0, 3])
            #expect(requests.withLock { $0 } == [0..<3, 0..<1, 2..<3])
        }
    }

    /// Answers that the kernel has put off are parked; the drop has to reach them there too.
    @Test func `a parked answer for a dropped page is replaced`() async throws {
        let isBusy = Lock(true)
        try await withDirectPager(
            .removeEvents,
            script: { call, _ in call.kind == .copy && isBusy.withLock { $0 } ? .again : nil },
            { pager in
                let region = try await pager.map(byteCount: 3 * page, handler: NumberedPages(first: 1))
                let threads = await faultTogether(region, at: [0, page, 2 * page], as: UInt64.self)
                try await eventually { await pager.statistics.again > 0 }
                #expect(Change.advise(region.addresses(1..<2)) == 0)
                #expect(await threads[1].value == 0)
                isBusy.withLock { $0 = false }
                #expect(await threads[0].value == 1)
                #expect(await threads[2].value == 3)
            })
    }

    /// The message comes before the pages go: what is filled in between goes with them, and no second message tells.
    @Test func `a page that goes again and again is zero each time`() async throws {
        try await withPager(events) { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            let isOver = Lock(false)
            let reader = FaultingThread {
                var seen: Set<UInt64> = []
                while !isOver.withLock({ $0 }) {
                    for number in 0..<8 {
                        seen.insert(region.load(fromByteOffset: number * region.pageSize, as: UInt64.self))
                    }
                }
                return seen
            }
            let dropper = FaultingThread { (0..<500).allSatisfy { _ in Change.advise(region.range) == 0 } }
            #expect(await dropper.value)
            isOver.withLock { $0 = true }
            let seen = await reader.value
            #expect(seen.isSubset(of: [0, 1, 2, 3, 4, 5, 6, 7, 8]))
            #expect(await words(region.range.start, 8) == [0, 0, 0, 0, 0, 0, 0, 0])
            #expect(await pager.statistics.events == 500)
        }
    }

    @Test(.requiresKernelFaults)
    func `at the end dropped pages stay zero, and those nobody supplied do not become so`()
        async throws
    {
        try await withPager(events) { pager in
            let region = try await pager.map(byteCount: 6 * page, handler: NumberedPages(first: 1))
            #expect(await words(region.range.start, 2) == [1, 2])
            #expect(Change.advise(region.addresses(1..<4)) == 0)
            await pager.shutdown()
            let bytes = (0..<6).map {
                MemoryProbe.readThroughKernel(region.range.start + UInt($0 * page), count: 1)
            }
            #expect(bytes == [[1], [0], [0], [0], nil, nil])
        }
    }
}
