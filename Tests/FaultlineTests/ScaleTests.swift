import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)), .serialized)
struct ScaleTests {
    let page = SystemPage.size

    @Test func `ten thousand regions, each with its own contents`() async throws {
        try await withPager { pager in
            let count = TestProcess.hasSanitizer ? 1_000 : 10_000
            var regions: [Region] = []
            for number in 0..<count {
                regions.append(
                    try await pager.map(byteCount: page, handler: NumberedPages(first: UInt64(number))))
            }
            let all = regions
            let thread = FaultingThread {
                var order = Array(0..<all.count)
                var generator = SeededGenerator(seed: 3)
                order.shuffle(using: &generator)
                return order.allSatisfy { all[$0].load(fromByteOffset: 8, as: UInt64.self) == UInt64($0) }
            }
            #expect(await thread.value)
            #expect(await pager.statistics.presentPages == count)
            for region in regions.prefix(100) { try await pager.unmap(region) }
            #expect(await pager.statistics.presentPages == count - 100)
        }
    }

    @Test func `a thousand threads wait at once, and each gets its page`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 11))
            }
            let region = try await pager.map(byteCount: 2000 * page, handler: handler)
            let threads = (0..<1000).map { number in
                FaultingThread { region.load(fromByteOffset: 2 * number * region.pageSize, as: UInt64.self) }
            }
            for thread in threads { await thread.waitUntilParked() }
            gate.open()
            for (number, thread) in threads.enumerated() {
                #expect(await thread.value == UInt64(2 * number) + 11)
            }
            let statistics = await pager.statistics
            #expect(statistics.inFlightPages == 0)
            #expect(statistics.presentPages == 1000)
        }
    }

    /// Swift's global pool has as many threads as there are cores. All of them touch missing pages; what serves those
    /// must not need any.
    @Test func `every thread of the global pool is parked on a fault, and all are freed`() async throws {
        await #expect(processExitsWith: .success) {
            let workers = try WorkerPool(threads: 1)
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let handler = ClosureHandler { request in
                // A suspension on the loop, and work away from it: neither may go through the global pool.
                try await reactor.sleep(for: .milliseconds(1))
                return try await workers.run {
                    Resolution.copy(try NumberedPages.buffer(for: request, first: 1))
                }
            }
            let region = try await pager.map(byteCount: 256 * 4096, handler: handler)
            let sum = await withTaskGroup(of: UInt64.self) { group in
                for number in 0..<64 {
                    group.addTask { region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) }
                }
                return await group.reduce(0, +)
            }
            #expect(sum == 64 * 65 / 2)
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
