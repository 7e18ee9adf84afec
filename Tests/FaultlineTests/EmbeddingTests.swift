import EventReactor
import Faultline
import FaultlineTestKit
import Synchronization
import Testing
import Userfault

/// Pagers on reactors of every kind.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct EmbeddingTests {
    let page = SystemPage.size

    /// Serves faults of several threads with handlers of both kinds, and shuts the pager down.
    private func serve(on reactor: Reactor, first: UInt64 = 3) async throws {
        let pager = try await Pager(on: reactor)
        let waiting = ClosureHandler { request in
            #expect(reactor.isOnLoop)
            try await reactor.sleep(for: .microseconds(200))
            #expect(reactor.isOnLoop)
            return try .copy(NumberedPages.buffer(for: request, first: first))
        }
        let quick = try await pager.map(byteCount: 64 * page, handler: NumberedPages(first: first))
        let slow = try await pager.map(byteCount: 64 * page, handler: waiting)
        let threads = (0..<4).map { part in
            FaultingThread {
                (part * 16..<(part + 1) * 16).allSatisfy { number in
                    let offset = number * quick.pageSize
                    return quick.load(fromByteOffset: offset, as: UInt64.self) == first + UInt64(number)
                        && slow.load(fromByteOffset: offset + 8, as: UInt64.self) == first + UInt64(number)
                }
            }
        }
        for thread in threads { #expect(await thread.value) }
        let statistics = await pager.statistics
        #expect(statistics.presentPages == 128)
        #expect(statistics.inFlightPages == 0)
        await pager.shutdown()
    }

    @Test func `on a reactor that a thread of the host's runs`() async throws {
        let reactor = try Reactor.hosted()
        let driver = FaultingThread { (try? reactor.run()) != nil }
        try await serve(on: reactor)
        await reactor.shutdown()
        #expect(await driver.value)
    }

    @Test func `on a reactor that a thread of the host's drives turn by turn`() async throws {
        let reactor = try Reactor.hosted()
        let isDone = Atomic(false)
        let driver = FaultingThread { () -> Int in
            var turns = 0
            while !isDone.load(ordering: .sequentiallyConsistent) {
                guard (try? reactor.turn(waiting: .milliseconds(1))) != nil else { return -1 }
                turns += 1
            }
            return turns
        }
        try await serve(on: reactor)
        isDone.store(true, ordering: .sequentiallyConsistent)
        #expect(await driver.value > 0)
        await reactor.shutdown()
    }

    @Test func `inside the loop of a host, whose own callbacks go on`() async throws {
        try await HostLoop.run { host, reactor in
            for _ in 0..<3 { try await serve(on: reactor) }
            let before = host.callbackCount
            while host.callbackCount < before + 3 { await Task.yield() }
        }
    }

    @Test(.requiresKernelFaults) func `detaching from a host's loop shuts the pager down`() async throws {
        let region = try await HostLoop.run { _, reactor in
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 5))
            let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            #expect(await thread.value == 5)
            return region
        }
        let present = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
        #expect(await present.value == 5)
        let start = region.range.start + UInt(page)
        let absent = FaultingThread { MemoryProbe.readThroughKernel(start, count: 1) }
        #expect(await absent.value == nil)
    }

    @Test func `several pagers share one reactor`() async throws {
        let reactor = try Reactor.start()
        await withThrowingTaskGroup { group in
            for number in 0..<5 {
                group.addTask { try await serve(on: reactor, first: UInt64(1000 * number)) }
            }
        }
        await reactor.shutdown()
    }

    @Test(.requiresKernelFaults) func `a pager that ends leaves the others of its reactor alone`()
        async throws
    {
        let reactor = try Reactor.start()
        let failing = try await Pager(on: reactor)
        let healthy = try await Pager(on: reactor)
        let broken = try await failing.map(
            byteCount: page, handler: FailingHandler(synchronous: true),
            options: RegionOptions(failurePolicy: .stop))
        let region = try await healthy.map(byteCount: 4 * page, handler: NumberedPages(first: 6))
        let victim = FaultingThread { MemoryProbe.readThroughKernel(broken.range.start, count: 1) }
        #expect(await victim.value == nil)
        await #expect(throws: PagerError.self) { try await failing.waitUntilStopped() }
        #expect(await healthy.isServing)
        let thread = FaultingThread { region.load(fromByteOffset: page, as: UInt64.self) }
        #expect(await thread.value == 7)
        await healthy.shutdown()
        await reactor.shutdown()
    }

    @Test func `each of two reactors has a pager, and a thread that touches both gets both`() async throws {
        let reactors = [try Reactor.start(), try Reactor.start()]
        var regions: [Region] = []
        for (number, reactor) in reactors.enumerated() {
            let pager = try await Pager(on: reactor)
            regions.append(
                try await pager.map(
                    byteCount: 200 * page, handler: NumberedPages(first: UInt64(500 * number))))
        }
        let both = regions
        let threads = (0..<2).map { first in
            FaultingThread {
                (0..<200).allSatisfy { number in
                    [first, 1 - first].allSatisfy {
                        both[$0].load(fromByteOffset: number * both[$0].pageSize, as: UInt64.self)
                            == UInt64(500 * $0 + number)
                    }
                }
            }
        }
        for thread in threads { #expect(await thread.value) }
        for region in regions { await region.pager.shutdown() }
        for reactor in reactors { await reactor.shutdown() }
    }

    /// What the handler of one reactor waits for may come from a region of another.
    @Test func `a handler may touch the region of a pager on another reactor`() async throws {
        let storage = try Reactor.start()
        let inner = try await Pager(on: storage)
            .map(byteCount: 16 * page, handler: NumberedPages(first: 20))
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: 16 * page,
                handler: ClosureHandler { request in
                    var buffer = try request.makeBuffer()
                    buffer.write(inner.readBytes(request.offset..<request.offset + request.byteCount))
                    return .copy(buffer)
                })
            let thread = FaultingThread {
                (0..<16).map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }
            #expect(await thread.value == Array(20..<36))
        }
        await inner.pager.shutdown()
        await storage.shutdown()
    }
}
