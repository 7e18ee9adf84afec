import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Regions whose writes are watched while their memory is dropped, moved and unmapped.
@Suite(
    .requiresUserfaultfd(
        [.writeProtectFaults, .remapEvents, .removeEvents, .unmapEvents, .forkEvents], kernelFaults: true),
    .timeLimit(.minutes(5)))
struct EventTrackingTests {
    let page = SystemPage.size
    let options = RegionOptions(isInheritedByFork: true, modes: [.missing, .writeProtect])

    /// Supplies pages, and has not asked for anything to be protected.
    private func handler(_ writes: Lock<Int>) -> ClosureHandler {
        ClosureHandler { request in
            if request.kind == .writeProtect {
                writes.withLock { $0 += 1 }
                return .unprotect
            }
            return try .copy(NumberedPages.buffer(for: request, first: 1))
        }
    }

    private func write(_ start: UInt, _ pages: Range<Int>, _ value: UInt64) async {
        await FaultingThread {
            for number in pages { ctest_store(UInt64(start) + UInt64(number * SystemPage.size), value) }
        }.value
    }

    @Test func `dropped pages count as written, and what is moved or unmapped is tracked no more`()
        async throws
    {
        try await withPager(Pager.Configuration(events: [.remap, .remove])) { pager in
            let asked = Lock(0)
            let region = try await pager.map(byteCount: 16 * page, handler: handler(asked), options: options)
            let start = region.range.start
            #expect(await words(start, 16) == (1...16).map { UInt64($0) })
            let tracker = try await region.trackDirty()
            #expect(try await tracker.collect().isEmpty)

            #expect(Change.advise(region.addresses(1..<3)) == 0)
            await write(start, 5..<6, 50)
            #expect(try await tracker.collect().numbers(from: start) == [1, 2, 5])
            #expect(await words(start, 6) == [1, 0, 0, 4, 5, 50])

            // Its protection goes along, and nobody is there to lift it but the pager.
            let target = FreeAddresses(byteCount: 4 * page)
            #expect(Change.move(region.addresses(8..<12), to: target.range.start))
            #expect(Change.mapOver(region.addresses(12..<14)))
            await write(target.range.start, 0..<4, 60)
            await write(start, 12..<14, 70)
            await write(start, 14..<16, 80)
            #expect(await words(target.range.start, 4) == [60, 60, 60, 60])
            #expect(try await tracker.collect().numbers(from: start) == [14, 15])
            #expect(asked.withLock { $0 } == 0)
            await tracker.stop()
            await write(start, 0..<1, 90)
            #expect(asked.withLock { $0 } == 0)
        }
    }

    @Test func `a snapshot of a region of which a part goes fails, and holds nobody`() async throws {
        try await withPager(Pager.Configuration(events: .unmap)) { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                if request.offset >= 8 * request.pageSize { await gate.wait() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 16 * page, handler: handler, options: options)
            #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            // It waits for the pages that are missing.
            let report = Task { try await region.snapshot(to: SnapshotMemory()) }
            try await eventually { await pager.statistics.inFlightPages > 0 }
            #expect(Change.mapOver(region.addresses(2..<4)))
            let error = await #expect(throws: PagerError.self) { try await report.value }
            #expect(error?.code == .unreadable)
            await write(region.range.start, 0..<8, 33)
            gate.open()
            #expect(await words(region.range.start, 2) == [33, 33])
            #expect(await words(region.range.start + UInt(12 * page), 4) == [13, 14, 15, 16])
        }
    }

    @Test
    func
        `what is left of a region whose front was unmapped is prefetched, recorded and tracked, and not saved`()
        async throws
    {
        try await withPager(Pager.Configuration(events: .unmap)) { pager in
            let region = try await pager.map(
                byteCount: 16 * page, handler: handler(Lock(0)), options: options)
            #expect(Change.mapOver(region.addresses(0..<4)))
            try await region.startRecording()
            #expect(await words(region.range.start + UInt(8 * page), 1) == [9])
            #expect(try await region.stopRecording().runs == [8..<9])
            let done = try await region.prefetch()
            #expect(done.requestedPages == 11)
            let tracker = try await region.trackDirty()
            await write(region.range.start, 2..<6, 70)
            #expect(try await tracker.collect().numbers(from: region.range.start) == [4, 5])
            let error = await #expect(throws: PagerError.self) {
                try await region.snapshot(to: SnapshotMemory())
            }
            #expect(error?.code == .unreadable)
        }
    }

    @Test func `a child of a tracked region writes as it pleases`() async {
        await #expect(processExitsWith: .success) {
            let log = ChildLog()
            let policy = ForkPolicy.serve(handlerFor: { $0.handler }, onChild: { log.add($0) })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let asked = Lock(0)
                let handler = ClosureHandler { request in
                    if request.kind == .writeProtect { asked.withLock { $0 += 1 } }
                    if request.kind == .writeProtect { return .unprotect }
                    return try .copy(NumberedPages.buffer(for: request, first: 1))
                }
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: handler,
                    options: RegionOptions(isInheritedByFork: true, modes: [.missing, .writeProtect]))
                #expect(await words(region.range.start, 4) == [1, 2, 3, 4])
                let tracker = try await region.trackDirty()
                var run = FamilyTree.run(region, 0..<8, first: 1)
                run.options = CInt(ctest_walk_write.rawValue)
                #expect(await FamilyTree.wait(FamilyTree([run]).fork()) == 0)
                #expect(try await tracker.collect().isEmpty)
                #expect(asked.withLock { $0 } == 0)
                #expect(log.children.count == 1)
            }
        }
    }
}
