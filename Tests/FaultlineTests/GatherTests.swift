import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What becomes of answers before they are carried out: zeroes are found, and small pieces gathered.
@Suite(.timeLimit(.minutes(5)), .requiresUserfaultfd)
struct GatherTests {
    let page = SystemPage.size

    private func read(_ region: Region, _ pages: Range<Int>) async -> [UInt64] {
        await FaultingThread {
            pages.map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
        }.value
    }

    @Test(arguments: [false, true])
    func `pages of zeroes in a buffer are installed as such`(finds: Bool) async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer()
                for number in 0..<request.pageCount {
                    let page = request.offset / request.pageSize + number
                    // Its last word, so that all of a page has to be looked at.
                    if page % 4 != 1 && page < 24 {
                        buffer.store(
                            UInt64(page),
                            toByteOffset: (number + 1) * request.pageSize - MemoryLayout<UInt64>.size)
                    }
                }
                return .copy(buffer)
            }
            let region = try await pager.map(
                byteCount: 32 * page, handler: handler,
                options: RegionOptions(modes: .missing, findsZeroPages: finds))
            try await region.prefetch()
            let statistics = await pager.statistics
            #expect(statistics.presentPages == 32)
            // Pages 0 and 1, 5, 9, … 21, and 24 to 31; the rest in between.
            #expect(statistics.zeroPages == (finds ? 7 : 0))
            #expect(statistics.copies == (finds ? 6 : 1))
            let words = await FaultingThread {
                (1...32).map { region.load(fromByteOffset: $0 * region.pageSize - 8, as: UInt64.self) }
            }.value
            for (page, word) in words.enumerated() {
                #expect(word == (page % 4 != 1 && page < 24 ? UInt64(page) : 0))
            }
            await FaultingThread { region.store(UInt64(5), toByteOffset: 30 * region.pageSize) }.value
            #expect(await read(region, 29..<32) == [0, 5, 0])
        }
    }

    @Test func `answers that come one by one are carried out together`() async throws {
        let configuration = Pager.Configuration(gatherDelay: .seconds(100))
        try await withPager(configuration) { pager in
            var bytes = [UInt8](repeating: 0, count: 8 * page)
            for number in 0..<8 { bytes[number * page] = UInt8(number + 50) }
            let source = try PageSource(copying: bytes)
            let asked = Lock(0)
            let all = Gate()
            let handler = ClosureHandler { request in
                let count = asked.withLock { asked in
                    asked += 1
                    return asked
                }
                if count == 8 { all.open() }
                await all.wait()
                // Each in a turn of its own.
                try await request.waitOnTimer(.microseconds(200 * count), on: pager.reactor)
                return .copy(from: source, at: request.offset)
            }
            let region = try await pager.map(
                byteCount: 8 * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
            let threads = (0..<8).map { number in
                FaultingThread { region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) }
            }
            for (number, thread) in threads.enumerated() {
                #expect(await thread.value == UInt64(number + 50))
            }
            let statistics = await pager.statistics
            #expect(statistics.commits == 1)
            #expect(statistics.copies == 1)
            #expect(statistics.wakes <= 1)
        }
    }

    @Test func `an answer waits no longer than the delay for others`() async throws {
        try await withPager(Pager.Configuration(gatherDelay: .milliseconds(2))) { pager in
            let isServed = Gate()
            let handler = ClosureHandler { request in
                if request.offset == 0 { await isServed.wait() } else { await Task.yield() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 8 * page, handler: handler)
            let slow = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            try await eventually { await pager.statistics.inFlightPages == 1 }
            #expect(await read(region, 4..<6) == [5, 6])
            isServed.open()
            #expect(await slow.value == 1)
        }
    }

    @Test func `answers that are held back go with the last one`() async throws {
        try await withPager(Pager.Configuration(gatherDelay: .seconds(100))) { pager in
            let isOver = Gate()
            let handler = ClosureHandler { request in
                if request.offset == 0 { await isOver.wait() } else { await Task.yield() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 8 * page, handler: handler)
            let slow = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            try await eventually { await pager.statistics.inFlightPages == 1 }
            let held = FaultingThread { region.load(fromByteOffset: 4 * region.pageSize, as: UInt64.self) }
            try await eventually { await pager.statistics.requests == 2 }
            isOver.open()
            #expect(await slow.value == 1)
            #expect(await held.value == 5)
            try await pager.unmap(region)
        }
    }
}
