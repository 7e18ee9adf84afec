import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Memory that the application unmaps, or maps something else in place of.
@Suite(.requiresUserfaultfd(.unmapEvents), .timeLimit(.minutes(5)))
struct EventUnmapTests {
    let page = SystemPage.size

    private func configuration(_ log: ChangeLog, _ failures: FailureLog? = nil) -> Pager.Configuration {
        Pager.Configuration(
            onFailure: { failures?.add($0) }, events: .unmap, onChange: { log.add($0) })
    }

    @Test func `a part that is unmapped is no longer the region's; the rest is served as before`()
        async throws
    {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(
                byteCount: 8 * page, handler: NumberedPages(first: 1), options: RegionOptions(name: "r"))
            let start = region.range.start
            #expect(await words(start, 4) == [1, 2, 3, 4])
            let gone = region.addresses(2..<6)
            #expect(Change.unmap(gone) == 0)
            #expect(await words(start, 2) == [1, 2])
            #expect(await words(start + UInt(6 * page), 2) == [7, 8])
            #expect(log.changes == [AddressSpaceChange(region: "r", range: gone, kind: .unmapped)])
            #expect(await pager.statistics.presentPages == 4)
        }
    }

    @Test func `what the application puts in the place of a part is its own, and stays when the region goes`()
        async throws
    {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            let gone = region.addresses(2..<6)
            #expect(Change.mapOver(gone))
            ctest_store(UInt64(gone.start), 55)
            try await pager.unmap(region)
        }
        let range = try #require(log.changes.first).range
        #expect(await words(range.start, 4) == [55, 0, 0, 0])
        #expect(Change.unmap(range) == 0)
    }

    @Test func `a region that is unmapped whole ends`() async throws {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages())
            #expect(Change.unmap(region.addresses(0..<1)) == 0)
            #expect(Change.unmap(region.addresses(1..<4)) == 0)
            try await eventually { log.changes.count == 3 }
            #expect(log.kinds == [.unmapped, .unmapped, .ended])
            #expect(log.changes[2].range == region.range)
            let error = await #expect(throws: PagerError.self) { try await pager.unmap(region) }
            #expect(error?.code == .invalidRange)
            withExtendedLifetime(region) {}
        }
    }

    @Test func `memory mapped over a region takes its place`() async throws {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
            #expect(Change.mapOver(region.addresses(1..<3)))
            #expect(await words(region.range.start, 4) == [1, 0, 0, 4])
            try await eventually { log.kinds == [.unmapped] }
        }
    }

    /// In a process of its own, since there is a signal to catch.
    @Test func `threads that wait for memory that goes are let go, and find it gone`() async {
        await #expect(processExitsWith: .success) {
            ctest_catch_faults()
            let log = ChangeLog()
            let failures = FailureLog()
            let page = SystemPage.size
            let configuration = Pager.Configuration(
                onFailure: { failures.add($0) }, onChange: { log.add($0) })
            try await withDirectPager(.unmapEvents, configuration) { pager in
                let gate = Gate()
                let cancelled = Lock(0)
                let handler = ClosureHandler { request in
                    await gate.wait()
                    if Task.isCancelled { cancelled.withLock { $0 += 1 } }
                    return try .copy(NumberedPages.buffer(for: request, first: 1))
                }
                let region = try await pager.map(
                    byteCount: 8 * page, handler: handler, options: RegionOptions(maximumRequestPages: 2))
                // Two requests: the first loses one of its pages, the second all.
                let hold = await LoopHold.take(pager.reactor)
                let threads = (0..<4).map { number in
                    FaultingThread {
                        ctest_try_peek(UInt64(region.range.start + UInt(number * SystemPage.size)))
                    }
                }
                for thread in threads { await thread.waitUntilParked() }
                hold.release()
                try await eventually { handler.callCount == 2 }
                #expect(Change.unmap(region.addresses(1..<5)) == 0)
                for thread in threads.dropFirst() { #expect(await thread.value == -SIGSEGV) }
                #expect(!threads[0].isFinished)
                gate.open()
                #expect(await threads[0].value == 1)
                try await eventually { cancelled.withLock { $0 } == 1 }
                #expect(await pager.statistics.inFlightPages == 0)
                #expect(failures.failures.isEmpty)
            }
        }
    }

    /// The message is read after others have registered the same addresses: it must not be taken for theirs.
    @Test(.requiresUserfaultfd([.unmapEvents, .poison]), arguments: [false, true])
    func `a late message leaves what is registered by then alone`(withWaiters: Bool) async throws {
        let log = ChangeLog()
        try await withHeldPager(.unmapEvents, configuration(log)) { pager, kernel in
            let gate = Gate()
            let old = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 1000))
            }
            let space = FreeAddresses(byteCount: 8 * page)
            #expect(Change.mapOver(space.range))
            let first = try await unsafe pager.register(
                unsafeMemoryAt: space.range, handler: old, options: RegionOptions(name: "old"))
            var waiters: [FaultingThread<UInt64>] = []
            if withWaiters {
                waiters = (0..<3).map { number in
                    FaultingThread {
                        ctest_load(UInt64(space.range.start) + UInt64(number * SystemPage.size))
                    }
                }
                try await eventually { await pager.statistics.inFlightPages == 3 }
            }
            kernel.hold()
            #expect(Change.mapOver(space.range))
            let second = try await unsafe pager.register(
                unsafeMemoryAt: space.range, handler: NumberedPages(first: 1),
                options: RegionOptions(name: "new"))
            #expect(await pager.statistics.inFlightPages == 0)
            #expect(log.changes.isEmpty)
            // What the old handler has to say now concerns nobody.
            gate.open()
            kernel.release()
            try await eventually { log.changes.count == 2 }
            #expect(log.changes.map(\.region) == ["old", "old"])
            #expect(log.kinds == [.unmapped, .ended])
            for (number, waiter) in waiters.enumerated() { #expect(await waiter.value == UInt64(number + 1)) }
            #expect(await words(space.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])

            // Its own message is not owed to anyone else.
            #expect(Change.mapOver(second.addresses(0..<8)))
            try await eventually { log.changes.count == 4 }
            #expect(log.changes.suffix(2).map(\.region) == ["new", "new"])
            await #expect(throws: PagerError.self) { try await pager.unmap(first) }
            await #expect(throws: PagerError.self) { try await pager.unmap(second) }
        }
    }

    @Test func `a range that was given out three times owes two messages`() async throws {
        let log = ChangeLog()
        try await withHeldPager(.unmapEvents, configuration(log)) { pager, kernel in
            let space = FreeAddresses(byteCount: 4 * page)
            kernel.hold()
            for generation in 0..<3 {
                #expect(Change.mapOver(space.range))
                _ = try await unsafe pager.register(
                    unsafeMemoryAt: space.range, handler: NumberedPages(first: UInt64(10 * generation)),
                    options: RegionOptions(name: "\(generation)"))
            }
            kernel.release()
            try await eventually { log.changes.count == 4 }
            #expect(log.changes.map(\.region) == ["0", "0", "1", "1"])
            #expect(await words(space.range.start, 4) == [20, 21, 22, 23])
        }
    }

    @Test func `memory that is registered still cannot be registered twice`() async throws {
        try await withPager(configuration(ChangeLog())) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            for pages in [0..<4, 1..<2, 3..<4] {
                let range = region.addresses(pages)
                let error = await #expect(throws: PagerError.self) {
                    try await unsafe pager.register(unsafeMemoryAt: range, handler: NumberedPages(first: 9))
                }
                #expect(error?.code == .overlap)
            }
            #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
        }
    }

    /// The kernel gives addresses out again at once; whoever gets them is not told what was there.
    @Test func `regions come and go at the same addresses, on two pagers of a reactor`() async throws {
        let log = ChangeLog()
        try await withPager(configuration(log)) { first in
            let second = try await Pager(on: first.reactor, configuration: configuration(ChangeLog()))
            var addresses: Set<UInt> = []
            for round in 0..<300 {
                let pager = round % 3 == 0 ? second : first
                let region = try await pager.map(
                    byteCount: 16 * page, handler: NumberedPages(first: UInt64(round)))
                addresses.insert(region.range.start)
                let start = region.range.start
                #expect(await words(start, 2) == [UInt64(round), UInt64(round + 1)])
                #expect(Change.unmap(region.range) == 0)
            }
            #expect(addresses.count < 150, "addresses are used again")
            await second.shutdown()
        }
    }

    @Test(.requiresKernelFaults)
    func `shutdown of a region with holes seals what is left of it, and nothing else`()
        async throws
    {
        try await withPager(configuration(ChangeLog())) { pager in
            let region = try await pager.map(byteCount: 20_000 * page, handler: NumberedPages(first: 1))
            let start = region.range.start
            #expect(await words(start, 2) == [1, 2])
            let hole = region.addresses(100..<200)
            #expect(Change.mapOver(hole))
            ctest_store(UInt64(hole.start), 7)
            await pager.shutdown()
            func probe(_ number: Int) -> [UInt8]? {
                MemoryProbe.readThroughKernel(start + UInt(number * page), count: 1)
            }
            #expect([0, 1, 2, 99].map(probe) == [[1], [2], nil, nil])
            #expect([100, 101, 199].map(probe) == [[7], [0], [0]])
            #expect([200, 10_000, 19_999].map(probe) == [nil, nil, nil])
        }
    }
}
