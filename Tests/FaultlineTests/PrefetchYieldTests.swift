import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Faults that come while a prefetch has the loop and the store to itself.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct PrefetchYieldTests {
    let page = SystemPage.size

    @Test
    func `a fault over a slow store is answered before the requests that the prefetch has still to make`()
        async throws
    {
        let pageCount = 16 * 1024
        try await withPager { pager in
            let disk = Disk(pager.reactor, timePerPage: .microseconds(20))
            let isUnderWay = Gate()
            let isServed = Gate()
            let store = FaultyStore(try MemoryStore(byteCount: pageCount * page)) { call in
                try await disk.read(call)
                if call.ranges[0].count > page {
                    isUnderWay.open()
                    // As many as are asked for before an answer; all further ones come behind the fault's.
                    if call.number > 6 { await isServed.wait() }
                }
                return .none
            }
            let region = try await pager.map(byteCount: pageCount * page, handler: StoreHandler(store))
            let all = Task { try await region.prefetch() }
            await isUnderWay.wait()
            let read = FaultingThread { region.load(fromByteOffset: region.byteCount - 8, as: UInt64.self) }
            #expect(await read.value == 0)
            #expect(await pager.statistics.presentPages < pageCount, "it did not wait for the rest")
            isServed.open()
            let done = try await all.value
            #expect(done.requestedPages + done.skippedPages == pageCount)
            #expect(await pager.statistics.presentPages == pageCount)
        }
    }

    @Test func `a prefetch asks a busy store for less while threads fault`() async throws {
        let pageCount = 12 * 1024
        try await withPager { pager in
            let disk = Disk(pager.reactor, timePerPage: .microseconds(100))
            let place = Lock<(region: Region?, next: Int)>((nil, pageCount))
            let store = FaultyStore(try MemoryStore(byteCount: pageCount * page)) { call in
                guard call.ranges[0].count > page else { return .none }
                // While each request is under way, a thread faults.
                let (region, number) = place.withLock { place in
                    place.next -= 1
                    return (place.region, place.next)
                }
                let thread = FaultingThread {
                    region?.load(fromByteOffset: number * SystemPage.size, as: UInt64.self)
                }
                #expect(await thread.value == 0)
                try await disk.read(call)
                return .none
            }
            let region = try await pager.map(byteCount: pageCount * page, handler: StoreHandler(store))
            place.withLock { $0.region = region }
            // The threads touch pages behind it: a request must not wait for a page that it is to bring itself.
            let part = AddressRange(start: region.range.start, byteCount: 8 * 1024 * page)
            let done = try await region.prefetch(part)
            place.withLock { $0.region = nil }
            #expect(done.requestedPages == 8 * 1024)
            #expect(done.failedPages == 0)
            let sizes = store.calls.map { $0.ranges[0].count / page }.filter { $0 > 1 }
            #expect(sizes.first == 256)
            #expect(sizes.contains { $0 <= 128 }, "\(sizes)")
        }
    }

    @Test(arguments: [false, true])
    func `no page is missing, wrong or brought twice when threads fault meanwhile`(isAsync: Bool) async throws
    {
        let pageCount = 8 * 1024
        try await withPager { pager in
            let isUnderWay = Gate()
            let region = try await pager.map(
                byteCount: pageCount * page, handler: OwnPages(isAsync: isAsync))
            let reader = FaultingThread {
                var wrong: [Int] = []
                for number in (0..<pageCount).reversed() {
                    if region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
                        != UInt64(number)
                    {
                        wrong.append(number)
                    }
                    if number == pageCount - 4 { isUnderWay.open() }
                }
                return wrong
            }
            await isUnderWay.wait()
            let done = try await region.prefetch()
            #expect(await reader.value == [])
            #expect(done.failedPages == 0)
            #expect(done.requestedPages + done.skippedPages == pageCount)
            let statistics = await pager.statistics
            #expect(statistics.presentPages == pageCount)
            #expect(statistics.exists == 0)
        }
    }

    @Test func `a prefetch that is answered at once takes a turn for each chunk`() async throws {
        try await withPager { pager in
            let pageCount = 40 * 256
            let region = try await pager.map(byteCount: pageCount * page, handler: NumberedPages())
            let before = await pager.reactor.statistics().turns
            #expect(try await region.prefetch().requestedPages == pageCount)
            #expect(await pager.reactor.statistics().turns - before >= 40)
        }
    }

    @Test func `prefetches that end at different times return when their own pages are there`() async throws {
        try await withPager { pager in
            let small = try await pager.map(byteCount: 300 * page, handler: OwnPages(isAsync: true))
            let large = try await pager.map(byteCount: 6000 * page, handler: OwnPages(isAsync: true))
            let other = Task { try await large.prefetch() }
            #expect(try await small.prefetch().requestedPages == 300)
            let before = await pager.statistics
            #expect(await ReadAheadTests.read(small, 0..<300).value == [])
            #expect(await pager.statistics.messages == before.messages, "they were there")
            #expect(try await other.value.requestedPages == 6000)
            #expect(await ReadAheadTests.read(large, 0..<6000).value == [])
            #expect(await pager.statistics.messages == before.messages)
        }
    }
}

/// What takes its time for each page, one request after the other.
private final class Disk: Sendable {
    private let reactor: Reactor
    private let timePerPage: Duration
    private let end: Lock<ReactorClock.Instant>

    init(_ reactor: Reactor, timePerPage: Duration) {
        self.reactor = reactor
        self.timePerPage = timePerPage
        end = Lock(reactor.clock.now)
    }

    func read(_ call: FaultyStore.Call) async throws {
        let pages = call.ranges.reduce(0) { $0 + $1.count } / SystemPage.size
        let end = end.withLock { end in
            end = max(end, reactor.clock.now).advanced(by: timePerPage * pages)
            return end
        }
        try await reactor.clock.sleep(until: end)
    }
}

/// Numbered pages, at once or by a task that has been elsewhere.
private struct OwnPages: FaultHandler {
    let isAsync: Bool

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        isAsync ? nil : try .copy(NumberedPages.buffer(for: request))
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        await Task.yield()
        return try .copy(NumberedPages.buffer(for: request))
    }
}
