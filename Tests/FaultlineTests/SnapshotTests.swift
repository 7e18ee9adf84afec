import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Images of regions that nobody writes to in a hurry: what they hold, what is left out, and how they end.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)))
struct SnapshotTests {
    let page = SystemPage.size

    @Test(arguments: TrackedKind.saved)
    func `an image holds what the region holds, the handler's pages as well`(kind: TrackedKind) async throws {
        try await withPager { pager in
            let pages = 1000
            let region = try await kind.map(on: pager, pages: pages)
            await region.fillPages(200..<700, salt: 5)
            let (image, report) = try await memorySnapshot(of: region)
            #expect(image.byteCount == region.byteCount)
            #expect(Region.wrongPages(200..<700, salt: 5, in: image, pageSize: page).isEmpty)
            for number in Array(0..<200) + Array(700..<pages) {
                #expect(image.load(number * page, as: UInt64.self) == 0)
            }
            #expect(report.savedPages == pages)
            #expect(report.skipped.isEmpty)
            #expect(report.suppliedPages == (kind.modes.contains(.missing) ? 500 : 0))
            #expect(report.passes >= 2)
            #expect(report.total >= report.protecting && report.protecting >= report.lastPass)
            #expect(await region.isFreeToWrite())
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test func `missing pages are left out where that is wanted, and listed`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 100)
            await region.fillPages(10..<20)
            await region.fillPages(30..<31)
            let before = await pager.statistics.requests
            let target = ScriptedTarget { _ in }
            let report = try await region.snapshot(to: target, options: SnapshotOptions(missingPages: .skip))
            #expect(await pager.statistics.requests == before)
            #expect(report.savedPages == 11)
            let skipped = DirtyPages(report.skipped, pageSize: page).numbers(from: region.range.start)
            #expect(skipped == Array(0..<10) + Array(20..<30) + Array(31..<100))
            #expect(target.written.map(\.lowerBound).sorted() == [10 * page, 30 * page])
            let shared = try await TrackedKind.sharedSupplied.map(on: pager, pages: 4)
            let error = await #expect(throws: PagerError.self) {
                try await shared.snapshot(to: SnapshotMemory(), options: SnapshotOptions(missingPages: .skip))
            }
            #expect(error?.code == .unsupportedOperation)
        }
    }

    @Test func `a region without a page, all of it left out, has an empty image`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 10)
            let (_, report) = try await memorySnapshot(
                of: region, options: SnapshotOptions(missingPages: .skip))
            #expect(report.savedPages == 0)
            #expect(report.skipped == [region.range])
            #expect(await region.isFreeToWrite())
        }
    }

    @Test func `memory that was there before it was registered is in the image`() async throws {
        let pages = 64
        let start = MemoryProbe.map(byteCount: pages * page)
        defer { MemoryProbe.unmap(start, byteCount: pages * page) }
        let range = AddressRange(start: start, byteCount: pages * page)
        let memory = unsafe try #require(UnsafeMutableRawPointer(bitPattern: start))
        for number in 0..<32 {
            unsafe memory.storeBytes(of: UInt64(number) + 1, toByteOffset: number * page, as: UInt64.self)
        }
        try await withPager { pager in
            let handler = NumberedPages(first: 1000)
            let region = try await unsafe pager.register(
                unsafeMemoryAt: range, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]))
            let (image, report) = try await memorySnapshot(of: region)
            for number in 0..<pages {
                let expected = UInt64(number) + (number < 32 ? 1 : 1000)
                #expect(image.load(number * page, as: UInt64.self) == expected)
            }
            #expect(report.suppliedPages == 32)
        }
    }

    @Test func `the handler supplies in runs, later and in parts as it likes`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                #expect(request.kind == .missing && !request.isWrite && request.threadID == nil)
                try await request.waitOnTimer(.microseconds(100), on: pager.reactor)
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(
                byteCount: 1000 * page, handler: handler,
                options: RegionOptions(maximumRequestPages: 100, modes: [.missing, .writeProtect]))
            let (image, report) = try await memorySnapshot(of: region)
            #expect((0..<1000).allSatisfy { image.load($0 * page, as: UInt64.self) == UInt64($0) + 1 })
            #expect(report.suppliedPages == 1000)
            #expect(handler.callCount == 10)
            #expect(await pager.statistics.presentPages == 1000)
        }
    }

    @Test func `pages that a prefetch gives up are asked for by the snapshot itself`() async throws {
        try await withPager { pager in
            let isAsked = Gate()
            let gate = Gate()
            let calls = Counter()
            let handler = ClosureHandler { request in
                calls.value += 1
                if calls.value == 1 {
                    isAsked.open()
                    await gate.wait()
                    throw StoreIsDown()
                }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(
                byteCount: 64 * page, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]))
            let half = AddressRange(start: region.range.start, byteCount: 32 * page)
            let prefetch = Task { try await region.prefetch(half) }
            await isAsked.wait()
            let target = SnapshotMemory()
            let snapshot = Task { try await region.snapshot(to: target) }
            // The other half is asked for by the snapshot, which passes over what is on its way.
            while calls.value < 2 { await Task.yield() }
            gate.open()
            #expect(try await snapshot.value.savedPages == 64)
            let image = SnapshotImage(try #require(target.image))
            #expect((0..<64).allSatisfy { image.load($0 * page, as: UInt64.self) == UInt64($0) + 1 })
            #expect(try await prefetch.value.failedPages == 32)
            #expect(calls.value == 3)
        }
    }

    @Test func `a page that cannot be supplied fails the snapshot, or is left out`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                if request.offset == 7 * request.pageSize { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(
                byteCount: 20 * page, handler: handler,
                options: RegionOptions(maximumRequestPages: 1, modes: [.missing, .writeProtect]))
            let target = ScriptedTarget { _ in }
            let error = await #expect(throws: PagerError.self) { try await region.snapshot(to: target) }
            #expect(error?.code == .unreadable)
            #expect(error?.range == AddressRange(start: region.range.start + UInt(7 * page), byteCount: page))
            #expect(target.abandoned == 1)
            let (image, report) = try await memorySnapshot(
                of: region, options: SnapshotOptions(unreadablePages: .skip))
            #expect(
                report.skipped == [AddressRange(start: region.range.start + UInt(7 * page), byteCount: page)])
            #expect(report.savedPages == 19)
            for number in 0..<20 where number != 7 {
                #expect(image.load(number * page, as: UInt64.self) == UInt64(number) + 1)
            }
        }
    }

    @Test func `what cannot be done is refused with a reason`() async throws {
        try await withPager { pager in
            let plain = try await pager.map(byteCount: page, handler: ZeroFillHandler())
            let unsupported = await #expect(throws: PagerError.self) {
                try await plain.snapshot(to: SnapshotMemory())
            }
            #expect(unsupported?.code == .unsupportedOperation)
            let region = try await TrackedKind.supplied.map(on: pager, pages: 2000)
            let isWriting = Gate()
            let gate = Gate()
            let first = Task {
                try await region.snapshot(
                    to: ScriptedTarget { _ in
                        isWriting.open()
                        await gate.wait()
                    }, options: SnapshotOptions(memoryLimit: 0))
            }
            await isWriting.wait()
            let second = ScriptedTarget { _ in }
            let busy = await #expect(throws: PagerError.self) { try await region.snapshot(to: second) }
            #expect(busy?.code == .busy)
            #expect(second.abandoned == 0)
            gate.open()
            _ = try await first.value
            try await pager.unmap(region)
            let gone = await #expect(throws: PagerError.self) {
                try await region.snapshot(to: SnapshotMemory())
            }
            #expect(gone?.code == .shutDown)
        }
    }

    @Test(.requiresUserfaultfd(.asynchronousWriteProtect))
    func `there are no snapshots with asynchronous write-protection`() async throws {
        try await withPager(Pager.Configuration(writeProtection: .asynchronousWherePossible)) { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 4)
            let error = await #expect(throws: PagerError.self) {
                try await region.snapshot(to: SnapshotMemory())
            }
            #expect(error?.code == .unsupportedOperation)
        }
    }
}
