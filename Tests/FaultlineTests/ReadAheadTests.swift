import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite("Read-ahead", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct ReadAheadTests {
    let page = SystemPage.size
    let ahead = RegionOptions(readAhead: .adaptive)

    static func read(_ region: Region, _ pages: some Sequence<Int> & Sendable) -> FaultingThread<[Int]> {
        // The pages that hold something else than they should.
        FaultingThread {
            pages.filter {
                region.load(fromByteOffset: $0 * region.pageSize + 8, as: UInt64.self) != UInt64($0)
            }
        }
    }

    @Test(arguments: [false, true]) func `a reader that goes on is met seldom`(isAsync: Bool) async throws {
        try await withPager { pager in
            let handler: any FaultHandler =
                isAsync
                ? ClosureHandler { request in
                    try await request.waitOnTimer(.microseconds(50), on: pager.reactor)
                    return try .copy(NumberedPages.buffer(for: request))
                } : NumberedPages()
            let region = try await pager.map(byteCount: 4096 * page, handler: handler, options: ahead)
            #expect(await Self.read(region, 0..<4096).value == [])
            let statistics = await pager.statistics
            #expect(statistics.messages <= 4096 / 512 + 12, "\(statistics)")
            #expect(statistics.presentPages == 4096)
            #expect(statistics.exists == 0, "nothing is installed twice")
            #expect(statistics.readAheadHits > 3000)
            #expect(statistics.readAheadWaste == 0)
        }
    }

    @Test(arguments: [4, 16]) func `readers of one place, a page each in turn`(threads: Int) async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 4096 * page, handler: NumberedPages(), options: ahead)
            let readers = (0..<threads).map { Self.read(region, stride(from: $0, to: 4096, by: threads)) }
            for reader in readers { #expect(await reader.value == []) }
            let statistics = await pager.statistics
            #expect(statistics.exists == 0)
            #expect(statistics.presentPages == 4096)
        }
    }

    @Test func `downwards and in strides`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 4096 * page, handler: NumberedPages(), options: ahead)
            #expect(await Self.read(region, stride(from: 4095, to: 3000, by: -1)).value == [])
            let first = await pager.statistics
            #expect(first.messages <= 20)
            #expect(await Self.read(region, stride(from: 1, to: 2900, by: 10)).value == [])
            let second = await pager.statistics
            #expect(second.messages - first.messages < 60, "290 pages")
        }
    }

    @Test func `advice`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 4096 * page, handler: NumberedPages(), options: ahead)
            region.advise(.random)
            // Takes effect with the reactor's next job.
            _ = await pager.statistics
            #expect(await Self.read(region, 0..<100).value == [])
            let first = await pager.statistics
            #expect(first.messages == 100)
            region.advise(.sequential)
            _ = await pager.statistics
            #expect(await Self.read(region, 1000..<2000).value == [])
            let second = await pager.statistics
            #expect(second.messages - first.messages <= 5)
        }
    }

    @Test func `what nobody waits for does not fail anybody`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            // Pages from the 100th on can only be had when somebody insists.
            let handler = ClosureHandler { request in
                let end = (request.offset + request.byteCount) / request.pageSize
                if end > 100, request.demand != request.range { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(
                byteCount: 200 * page, handler: handler,
                options: RegionOptions(failurePolicy: .retry(limit: 1), readAhead: .adaptive))
            #expect(await Self.read(region, 0..<200).value == [])
            #expect(await pager.statistics.poisonedPages == 0)
            #expect(log.failures.contains { $0.action == .abandoned })
        }
    }

    @Test func `an answer may leave open what nobody waits for`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer(byteCount: request.demand.byteCount)
                let first = Int(request.demand.start - request.region.start) / request.pageSize
                for number in 0..<request.demand.byteCount / request.pageSize {
                    for offset in stride(from: 0, to: request.pageSize, by: 8) {
                        buffer.store(UInt64(first + number), toByteOffset: number * request.pageSize + offset)
                    }
                }
                return .copy(buffer).covering(request.demand)
            }
            let region = try await pager.map(byteCount: 300 * page, handler: handler, options: ahead)
            #expect(await Self.read(region, 0..<300).value == [])
            let statistics = await pager.statistics
            #expect(statistics.failures == 0)
            #expect(statistics.requests == 300)
            #expect(statistics.inFlightPages == 0)
        }
    }

    @Test func `who comes to a page that is filled ahead, and then is not, is asked for`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                if request.pageCount > 1 {
                    // The one that runs ahead fails late.
                    await gate.wait()
                    throw StoreIsDown()
                }
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(
                byteCount: 64 * page, handler: handler,
                options: RegionOptions(failurePolicy: .retry(limit: 2), readAhead: .adaptive))
            #expect(await Self.read(region, [5]).value == [])
            // A second fault makes a stream of it, with pages up to the 10th.
            let second = Self.read(region, [7])
            await second.waitUntilParked()
            while await pager.statistics.inFlightPages < 4 {}
            let joined = Self.read(region, [8])
            await joined.waitUntilParked()
            while await pager.statistics.joined == 0 {}
            region.advise(.random)
            gate.open()
            #expect(await joined.value == [])
            #expect(await second.value == [])
            #expect(await pager.statistics.poisonedPages == 0)
        }
    }
}
