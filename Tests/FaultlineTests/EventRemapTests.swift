import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Memory that is moved, grows and shrinks.
@Suite(.requiresUserfaultfd([.remapEvents, .unmapEvents]), .timeLimit(.minutes(5)))
struct EventRemapTests {
    let page = SystemPage.size

    private func configuration(_ log: ChangeLog, events: AddressSpaceEvents = .remap) -> Pager.Configuration {
        Pager.Configuration(events: events, onChange: { log.add($0) })
    }

    @Test func `a region that is moved takes its contents and its handler along`() async throws {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            let target = FreeAddresses(byteCount: 8 * page)
            #expect(await words(region.range.start, 3) == [1, 2, 3])
            let requests = await pager.statistics.requests
            #expect(Change.move(region.range, to: target.range.start))
            // What was there is still there, and what was not is what it would have been.
            #expect(await words(target.range.start, 3) == [1, 2, 3])
            #expect(await pager.statistics.requests == requests)
            #expect(await words(target.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            #expect(log.kinds == [.moved(to: target.range.start)])
            #expect(log.changes.first?.range == region.range)
            #expect(await pager.statistics.presentPages == 8)

            // And back, by way of a third place.
            let third = FreeAddresses(byteCount: 8 * page)
            #expect(Change.move(target.range, to: third.range.start))
            #expect(await words(third.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            try await pager.unmap(region)
        }
    }

    @Test func `a part that is moved knows what it was`() async throws {
        try await withPager(configuration(ChangeLog())) { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            let target = FreeAddresses(byteCount: 4 * page)
            let start = region.range.start
            #expect(Change.move(region.addresses(2..<6), to: target.range.start))
            #expect(await words(target.range.start, 4) == [3, 4, 5, 6])
            #expect(await words(start, 2) == [1, 2])
            #expect(await words(start + UInt(6 * page), 2) == [7, 8])
        }
    }

    @Test(.requiresKernelFaults) func `unmapping a region takes the parts that were moved along`()
        async throws
    {
        try await withPager(configuration(ChangeLog())) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            let target = FreeAddresses(byteCount: 2 * page)
            #expect(await words(region.range.start, 3) == [1, 2, 3])
            #expect(Change.move(region.addresses(2..<4), to: target.range.start))
            try await eventually { await pager.statistics.events == 2 }
            try await pager.unmap(region)
            func probe(_ address: UInt) -> [UInt8]? { MemoryProbe.readThroughKernel(address, count: 1) }
            #expect(probe(region.range.start) == [1])
            #expect(probe(target.range.start) == [3])
            #expect(probe(target.range.start + UInt(page)) == nil)
            await #expect(throws: PagerError.self) { try await pager.unmap(region) }
        }
    }

    @Test(.requiresUserfaultfd([.remapEvents, .unmapEvents, .removeEvents]))
    func `dropped pages stay zero when they are moved`() async throws {
        try await withPager(configuration(ChangeLog(), events: [.remap, .remove])) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            let target = FreeAddresses(byteCount: 4 * page)
            #expect(Change.advise(region.addresses(1..<3)) == 0)
            #expect(Change.move(region.range, to: target.range.start))
            #expect(await words(target.range.start, 4) == [1, 0, 0, 4])
        }
    }

    /// In a process of its own, since there is a signal to catch.
    @Test func `threads that wait are let go, and the answer for the old place is dropped`() async {
        await #expect(processExitsWith: .success) {
            ctest_catch_faults()
            let page = SystemPage.size
            try await withPager(Pager.Configuration(events: .remap)) { pager in
                let gate = Gate()
                let first = Lock(true)
                let handler = ClosureHandler { request in
                    let isFirst = first.withLock { first in
                        defer { first = false }
                        return first
                    }
                    if isFirst { await gate.wait() }
                    return try .copy(NumberedPages.buffer(for: request, first: isFirst ? 200 : 1))
                }
                let region = try await pager.map(byteCount: 4 * page, handler: handler)
                let target = FreeAddresses(byteCount: 4 * page)
                let start = region.range.start
                let old = FaultingThread { ctest_try_peek(UInt64(start)) }
                try await eventually { handler.callCount == 1 }
                #expect(Change.move(region.range, to: target.range.start))
                #expect(await old.value == -SIGSEGV)
                #expect(await words(target.range.start, 4) == [1, 2, 3, 4])
                gate.open()
                #expect(await words(target.range.start, 4) == [1, 2, 3, 4])
                #expect(await pager.statistics.inFlightPages == 0)
            }
        }
    }

    /// In a process of its own: nobody else takes the addresses behind it.
    @Test func `what grows where it is, or as it moves, is served from the first touch on`() async {
        await #expect(processExitsWith: .success) {
            let log = ChangeLog()
            let page = SystemPage.size
            try await withPager(Pager.Configuration(events: .remap, onChange: { log.add($0) })) { pager in
                let space = FreeAddresses(byteCount: 64 * page)
                let target = FreeAddresses(byteCount: 64 * page)
                let start = space.range.start
                let small = AddressRange(start: start, byteCount: 4 * page)
                #expect(Change.mapOver(small))
                _ = try await unsafe pager.register(unsafeMemoryAt: small, handler: NumberedPages(first: 1))
                #expect(await words(start, 4) == [1, 2, 3, 4])
                #expect(Change.unmap(AddressRange(start: small.end, byteCount: 60 * page)) == 0)
                try #require(Change.resize(small, to: 10 * page))
                #expect(await words(start + UInt(7 * page), 3) == [8, 9, 10])
                #expect(await words(start, 10) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
                #expect(log.kinds == [.grown])
                #expect(log.changes.first?.range == AddressRange(start: small.end, byteCount: 6 * page))

                let grown = AddressRange(start: start, byteCount: 10 * page)
                #expect(Change.move(grown, to: target.range.start, byteCount: 40 * page))
                #expect(await words(target.range.start, 40) == (1...40).map { UInt64($0) })
                #expect(log.kinds.count { $0 == .grown } == 2)

                // And shorter.
                let long = AddressRange(start: target.range.start, byteCount: 40 * page)
                let before = log.changes.count
                #expect(Change.resize(long, to: 2 * page))
                try await eventually { log.changes.count > before + 1 }
                #expect(log.kinds.dropFirst(before).allSatisfy { $0 == .unmapped })
                #expect(await words(target.range.start, 2) == [1, 2])
                #expect(await pager.statistics.presentPages == 2)
            }
        }
    }

    @Test(.requiresKernelFaults) func `at the end, what has grown and nobody has touched is sealed as well`()
        async
    {
        await #expect(processExitsWith: .success) {
            let page = SystemPage.size
            try await withPager(Pager.Configuration(events: .remap)) { pager in
                let space = FreeAddresses(byteCount: 64 * page)
                let small = AddressRange(start: space.range.start, byteCount: 4 * page)
                #expect(Change.mapOver(small))
                let region = try await unsafe pager.register(
                    unsafeMemoryAt: small, handler: NumberedPages(first: 1))
                #expect(await words(small.start, 4) == [1, 2, 3, 4])
                #expect(Change.unmap(AddressRange(start: small.end, byteCount: 60 * page)) == 0)
                try #require(Change.resize(small, to: 10 * page))
                try await pager.unmap(region)
                func probe(_ number: Int) -> [UInt8]? {
                    MemoryProbe.readThroughKernel(small.start + UInt(number * page), count: 1)
                }
                #expect([0, 3, 4, 9].map(probe) == [[1], [4], nil, nil])
            }
        }
    }

    @Test func `old addresses that stay registered are served anew`() async throws {
        let log = ChangeLog()
        try await withPager(configuration(log)) { pager in
            let region = try await pager.map(byteCount: 6 * page, handler: NumberedPages(first: 1))
            let target = FreeAddresses(byteCount: 6 * page)
            #expect(await words(region.range.start, 6) == [1, 2, 3, 4, 5, 6])
            #expect(Change.move(region.range, to: target.range.start, keepsOld: true))
            ctest_store(UInt64(target.range.start), 50)
            #expect(await words(target.range.start, 6) == [50, 2, 3, 4, 5, 6])
            #expect(await words(region.range.start, 6) == [1, 2, 3, 4, 5, 6])
            #expect(await words(target.range.start, 6) == [50, 2, 3, 4, 5, 6])
            // Its unmapping is heard of like any other's.
            #expect(Change.mapOver(region.addresses(0..<6)))
            try await eventually { log.kinds.last == .unmapped }
            #expect(log.changes.last?.range == region.range)
            #expect(await words(region.range.start, 2) == [0, 0])
            #expect(await words(target.range.start, 2) == [50, 2])
        }
    }

    /// The message comes when others have registered the old addresses already. In a process of its own: nobody else takes
    /// them meanwhile.
    @Test(.requiresUserfaultfd([.unmapEvents, .remapEvents, .poison]))
    func `a late message moves what is meant, not what is there by now`() async {
        await #expect(processExitsWith: .success) {
            let log = ChangeLog()
            let page = SystemPage.size
            let configuration = Pager.Configuration(onChange: { log.add($0) })
            try await withHeldPager([.remapEvents, .unmapEvents], configuration) { pager, kernel in
                let space = FreeAddresses(byteCount: 4 * page)
                let target = FreeAddresses(byteCount: 4 * page)
                #expect(Change.mapOver(space.range))
                _ = try await unsafe pager.register(
                    unsafeMemoryAt: space.range, handler: NumberedPages(first: 100),
                    options: RegionOptions(name: "old"))
                #expect(await words(space.range.start, 2) == [100, 101])
                kernel.hold()
                #expect(Change.move(space.range, to: target.range.start))
                // MAP_FIXED_NOREPLACE
                let again = ctest_mmap(
                    UInt64(space.range.start), UInt64(space.range.byteCount), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | 0x100000, -1)
                try #require(again == Int64(space.range.start))
                let second = try await unsafe pager.register(
                    unsafeMemoryAt: space.range, handler: NumberedPages(first: 1),
                    options: RegionOptions(name: "new"))
                kernel.release()
                #expect(await words(target.range.start, 4) == [100, 101, 102, 103])
                #expect(await words(space.range.start, 4) == [1, 2, 3, 4])
                #expect(log.changes.map(\.region) == ["old"])

                // Now the other one, of which nothing is unclear.
                let third = FreeAddresses(byteCount: 4 * page)
                #expect(Change.move(second.addresses(0..<4), to: third.range.start))
                #expect(await words(third.range.start, 4) == [1, 2, 3, 4])
                try await eventually { log.changes.map(\.region) == ["old", "new"] }
            }
        }
    }

    @Test(.requiresUserfaultfd([.unmapEvents, .remapEvents, .poison]))
    func `where something newer has been moved as well, its message finds it`() async throws {
        let log = ChangeLog()
        try await withHeldPager([.remapEvents, .unmapEvents], configuration(log)) { pager, kernel in
            let space = FreeAddresses(byteCount: 4 * page)
            let target = FreeAddresses(byteCount: 4 * page)
            #expect(Change.mapOver(space.range))
            _ = try await unsafe pager.register(
                unsafeMemoryAt: space.range, handler: NumberedPages(first: 100),
                options: RegionOptions(name: "old"))
            kernel.hold()
            #expect(Change.mapOver(space.range))
            _ = try await unsafe pager.register(
                unsafeMemoryAt: space.range, handler: NumberedPages(first: 1),
                options: RegionOptions(name: "new"))
            #expect(Change.move(space.range, to: target.range.start))
            kernel.release()
            #expect(await words(target.range.start, 4) == [1, 2, 3, 4])
            #expect(log.changes.map(\.region).contains("new"))
            try await eventually { log.changes.contains { $0.region == "old" && $0.kind == .ended } }
        }
    }
}
