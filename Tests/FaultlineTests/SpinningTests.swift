import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct SpinningTests {
    let page = SystemPage.size

    private func start() throws -> Reactor {
        var configuration = Reactor.Configuration(name: "spinning")
        // Long enough for the other thread however busy the machine is.
        configuration.waiting = .spinning(upTo: .seconds(1))
        return try Reactor.start(configuration)
    }

    @Test func `a reactor that looks for work reads the descriptor itself, and counts only what it finds`()
        async throws
    {
        let reactor = try start()
        let kernel = ScriptedKernel(try Userfaultfd(requesting: [.poison])) { _, _ in nil }
        let pager = try await Pager(
            on: reactor, kernel: kernel, access: nil, configuration: Pager.Configuration())
        let pages = 200
        let region = try await pager.map(byteCount: pages * page, handler: NumberedPages(first: 5))
        let thread = FaultingThread {
            (0..<pages).allSatisfy { number in
                region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) == UInt64(number) + 5
            }
        }
        #expect(await thread.value)
        let statistics = await pager.statistics
        #expect(statistics.messages == pages)
        #expect(statistics.presentPages == pages)
        // Looks that found nothing are left out. Those on behalf of the descriptor, which can come too late, are not.
        #expect(kernel.readCount > statistics.reads)
        #expect(statistics.reads <= 2 * pages)
        let spins = await reactor.statistics()
        #expect(spins.spins > spins.spinsInVain)
        await pager.shutdown()
        let reads = kernel.readCount
        try await reactor.sleep(for: .milliseconds(1))
        #expect(kernel.readCount == reads, "nobody looks at a pager that has shut down")
        await reactor.shutdown()
    }

    @Test func `more pagers than can be looked at one by one are served by their descriptors`() async throws {
        let reactor = try start()
        var pagers: [Pager] = []
        var threads: [FaultingThread<UInt64>] = []
        for number in 0..<8 {
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(
                byteCount: page, handler: NumberedPages(first: UInt64(number) + 1))
            threads.append(FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) })
            pagers.append(pager)
        }
        for (number, thread) in threads.enumerated() { #expect(await thread.value == UInt64(number) + 1) }
        for pager in pagers { await pager.shutdown() }
        await reactor.shutdown()
    }

    @Test func `a reactor that goes takes a pager with it while it looks`() async throws {
        let reactor = try start()
        let pager = try await Pager(on: reactor)
        let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
        #expect(await FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }.value == 1)
        await reactor.shutdown()
        #expect(await !pager.isServing)
        #expect(MemoryProbe.readThroughKernel(region.range.start + UInt(region.pageSize), count: 1) == nil)
    }
}
