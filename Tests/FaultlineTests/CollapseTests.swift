import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Pages that are put together to huge ones after they were served one by one.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct CollapseTests {
    private let huge = 2 << 20

    @Test func `pieces that are complete become huge pages, the others stay as they are`() async throws {
        let workers = try WorkerPool(threads: 1)
        try await withPager { pager in
            let handler = ClosureHandler { try .copy(NumberedPages.buffer(for: $0, first: 1)) }
            let region = try await pager.map(byteCount: 5 * huge, handler: handler)
            let first = (region.range.start + UInt(huge - 1)) & ~UInt(huge - 1)
            let aligned = AddressRange(start: first, byteCount: 4 * huge)
            let page = region.pageSize
            try await region.prefetch(AddressRange(start: first, byteCount: 3 * huge - page))
            let report = try await region.collapse(on: workers)
            #expect(report.hugePages == 2)
            #expect(report.hugePages + report.skipped >= 4)
            // One per piece, and nobody else's in between.
            #expect(try HugePages.byteCount(of: aligned) == 2 * huge)
            #expect(await pager.statistics.failures == 0)
            // What was there is what it was, and what was missing is still asked for.
            await FaultingThread {
                for number in 0..<(4 * huge / page) {
                    let offset = Int(first - region.range.start) + number * page
                    #expect(
                        region.load(fromByteOffset: offset, as: UInt64.self) == UInt64(1 + offset / page))
                }
            }.value
            #expect(
                try await region.collapse(aligned, on: workers) == CollapseReport(hugePages: 4, skipped: 0))
            #expect(try HugePages.byteCount(of: aligned) == 4 * huge)
        }
    }

    @Test func `threads go on reading and writing while pages are put together`() async throws {
        let workers = try WorkerPool(threads: 1)
        try await withPager { pager in
            let handler = ClosureHandler { try .copy(NumberedPages.buffer(for: $0, first: 1)) }
            let region = try await pager.map(byteCount: 5 * huge, handler: handler)
            let stop = StopSign()
            defer { stop.putUp() }
            let pages = region.pageCount
            let writers = (0..<3).map { number in
                FaultingThread {
                    var random = TestRandom(TestSeed(), stream: UInt64(number))
                    var written: [Int: UInt64] = [:]
                    while !stop.isUp {
                        let page = Int.random(in: 0..<pages, using: &random)
                        let value = random.next()
                        region.store(value, toByteOffset: page * region.pageSize + 8 * number)
                        written[page] = value
                        _ = usleep(20)
                    }
                    for (page, value) in written {
                        #expect(
                            region.load(fromByteOffset: page * region.pageSize + 8 * number, as: UInt64.self)
                                == value)
                    }
                }
            }
            try await region.prefetch()
            for _ in 0..<5 { try await region.collapse(on: workers) }
            stop.putUp()
            for writer in writers { await writer.value }
            #expect(try await region.collapse(on: workers).hugePages >= 4)
        }
    }

    @Test func `what cannot be put together is refused with a reason`() async throws {
        let workers = try WorkerPool(threads: 1)
        try await withPager { pager in
            let memory = try SharedMemory(byteCount: 2 * huge)
            let shared = try await pager.map(memory, handler: ZeroFillHandler())
            await expectCode(.unsupportedMemory) { try await shared.collapse(on: workers) }
            let region = try await pager.map(byteCount: 2 * huge, handler: ZeroFillHandler())
            let outside = AddressRange(start: region.range.end, byteCount: huge)
            await expectCode(.invalidRange) { try await region.collapse(outside, on: workers) }
            let cancelled = Task {
                unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                return try await region.collapse(on: workers)
            }
            #expect(try await cancelled.value == CollapseReport(hugePages: 0, skipped: 0))
        }
    }

    /// Pages of a budget leave memory one by one, which would free none of a huge page's.
    @Test(.requiresUserfaultfd([.writeProtectFaults]))
    func `a region with a memory budget is refused, and one over a store without is not`() async throws {
        let workers = try WorkerPool(threads: 1)
        let stores = [try MemoryStore(byteCount: 3 * huge), try MemoryStore(byteCount: 3 * huge)]
        try await withPager { pager in
            let budget = try MemoryBudget(byteCount: 4 * huge)
            let region = try await pager.map(store: stores[0], budget: budget)
            // Pages that differ from the store are not protected.
            await fill(region)
            await expectCode(.unsupportedOperation) { try await region.collapse(on: workers) }
            let part = AddressRange(start: region.range.start, byteCount: region.pageSize)
            await expectCode(.unsupportedOperation) { try await region.collapse(part, on: workers) }
            #expect(try HugePages.byteCount(of: region.range) == 0)
            let free = try await pager.map(store: stores[1])
            await fill(free)
            #expect(try await free.collapse(on: workers).hugePages >= 2)
            // It is written and read as before.
            try await free.flush()
            let value = FaultingThread { free.load(fromByteOffset: free.pageSize, as: UInt64.self) }
            #expect(await value.value == 2)
        }
    }

    private func fill(_ region: Region) async {
        await FaultingThread {
            for page in 0..<region.pageCount {
                region.store(UInt64(page + 1), toByteOffset: page * region.pageSize)
            }
        }.value
    }

    private func expectCode(
        _ code: PagerError.Code, _ body: () async throws -> CollapseReport
    ) async {
        let error = await #expect(throws: PagerError.self) { try await body() }
        #expect(error?.code == code)
    }
}
