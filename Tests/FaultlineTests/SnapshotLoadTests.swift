import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Images of regions that threads write to all the time.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)),
    .serialized)
struct SnapshotLoadTests {
    let page = SystemPage.size

    @Test(arguments: TrackedKind.saved)
    func `an image shows one instant, whatever threads write meanwhile`(kind: TrackedKind) async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let region = try await kind.map(on: pager, pages: 512)
            let writers = OrderedWriters(region, pairs: 3, seed: seed)
            await writers.start(seed: seed)
            defer { writers.stop() }
            for round in 0..<(TestProcess.hasSanitizer ? 10 : 60) {
                let (image, report) = try await memorySnapshot(of: region)
                #expect(report.savedPages == region.pageCount)
                writers.check(image, "round \(round), \(seed)")
            }
            await writers.finish("\(seed)")
            #expect(await region.isFreeToWrite())
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test func `images of a large region, one after the other, as it is written`() async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let pages = TestProcess.hasSanitizer ? 2048 : 16384
            let region = try await TrackedKind.supplied.map(on: pager, pages: pages)
            await region.fillPages(0..<pages)
            let writers = OrderedWriters(region, pairs: 2, seed: seed)
            await writers.start(seed: seed)
            defer { writers.stop() }
            var copiedBeforeWrite = 0
            let target = SnapshotMemory()
            for round in 0..<(TestProcess.hasSanitizer ? 3 : 8) {
                let report = try await region.snapshot(to: target)
                copiedBeforeWrite += report.pagesCopiedBeforeWrite
                writers.check(SnapshotImage(try #require(target.image)), "round \(round), \(seed)")
            }
            #expect(copiedBeforeWrite > 0)
            await writers.finish("\(seed)")
        }
    }

    @Test(arguments: [false, true])
    func `a file shows one instant, wherever its bytes are taken from`(isSparse: Bool) async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let file = TemporaryFile([])
            let target = SnapshotFile(path: file.path, isSparse: isSparse)
            let region = try await TrackedKind.supplied.map(on: pager, pages: 512)
            let writers = OrderedWriters(region, pairs: 3, seed: seed)
            await writers.start(seed: seed)
            defer { writers.stop() }
            for round in 0..<(TestProcess.hasSanitizer ? 10 : 40) {
                let report = try await region.snapshot(to: target)
                #expect(report.savedPages == region.pageCount)
                writers.check(
                    SnapshotImage(try PageSource(mappingFileAt: file.path)), "round \(round), \(seed)")
            }
            await writers.finish("\(seed)")
        }
    }

    @Test func `a tracker goes on while snapshots are taken`() async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let region = try await TrackedKind.supplied.map(on: pager, pages: 256)
            let tracker = try await region.trackDirty()
            let log = CollectionLog()
            let stop = StopSign()
            defer { stop.putUp() }
            let writers = (0..<3).map { number in
                FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(number + 1))
                    while !stop.isUp {
                        let target = random.below(256)
                        log.write(page: target) {
                            region.store(UInt8(1), toByteOffset: target * region.pageSize + number)
                        }
                    }
                }
            }
            let snapshots = Task {
                var count = 0
                while !stop.isUp {
                    _ = try await region.snapshot(to: SnapshotMemory())
                    count += 1
                }
                return count
            }
            try await log.collect(tracker, rounds: TestProcess.hasSanitizer ? 20 : 60)
            stop.putUp()
            for writer in writers { await writer.value }
            #expect(try await snapshots.value > 0)
            try await log.collect(tracker)
            log.check("\(seed)")
            // The one ends while the other goes on, either way.
            let isWriting = Gate()
            let gate = Gate()
            let slow = Task {
                try await region.snapshot(
                    to: ScriptedTarget { _ in
                        isWriting.open()
                        await gate.wait()
                    })
            }
            await isWriting.wait()
            await tracker.stop()
            gate.open()
            _ = try await slow.value
            #expect(await region.isFreeToWrite())
        }
    }

    @Test func `a kernel that is busy now and then does not make an image wrong`() async throws {
        let seed = TestSeed()
        let random = Lock(TestRandom(seed))
        let script: @Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome? = { call, _ in
            call.kind != .wake && random.withLock { $0.chance(25) } ? .again : nil
        }
        try await withScriptedPager(script: script) { pager, _ in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 64)
            let writers = OrderedWriters(region, pairs: 3, seed: seed)
            await writers.start(seed: seed)
            defer { writers.stop() }
            for round in 0..<20 {
                let (image, _) = try await memorySnapshot(of: region)
                writers.check(image, "round \(round), \(seed)")
            }
            await writers.finish("\(seed)")
        }
    }

    @Test func `a page is copied before it is written, for all who wait`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.empty.map(on: pager, pages: 4000)
            await region.fillPages(0..<4000)
            let isWriting = Gate()
            let gate = Gate()
            let target = ScriptedTarget { _ in
                isWriting.open()
                await gate.wait()
            }
            // Memory for a part of the region only: the rest waits for the target.
            let snapshot = Task {
                try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 4 << 20))
            }
            await isWriting.wait()
            let pages = [3999, 3000, 3999, 3500, 3501, 3999]
            let writers = pages.enumerated().map { index, number in
                FaultingThread {
                    region.store(UInt64.max, toByteOffset: number * region.pageSize + 8 * index)
                }
            }
            for writer in writers { await writer.value }
            let readers = FaultingThread {
                region.load(fromByteOffset: 3998 * region.pageSize, as: UInt64.self)
            }
            #expect(await readers.value == 3998 &* 0x9E37_79B9, "readers need not wait")
            gate.open()
            let report = try await snapshot.value
            #expect(report.pagesCopiedBeforeWrite == 4)
            #expect(report.longestHold > .zero)
            #expect(Region.wrongPages(0..<4000, in: try #require(target.image), pageSize: page).isEmpty)
            // The pages that were waited for come before those in front of them.
            let order = target.written.map { $0.lowerBound / page }
            #expect(try #require(order.firstIndex(of: 3999)) < order.count - 1)
        }
    }

    @Test func `threads that wait for the memory limit are let go as the target goes on`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.empty.map(on: pager, pages: 4000)
            await region.fillPages(0..<4000)
            let gate = Gate()
            let isWriting = Gate()
            let target = ScriptedTarget { count in
                isWriting.open()
                if count == 0 { await gate.wait() }
            }
            let snapshot = Task {
                try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 0))
            }
            await isWriting.wait()
            // More pages than there is memory for.
            let writer = FaultingThread {
                for number in (0..<4000).reversed() {
                    region.store(UInt64.max, toByteOffset: number * region.pageSize)
                }
            }
            await writer.waitUntilParked()
            gate.open()
            await writer.value
            _ = try await snapshot.value
            #expect(Region.wrongPages(0..<4000, in: try #require(target.image), pageSize: page).isEmpty)
        }
    }

    @Test func `a snapshot goes on when every thread of Swift's pool waits for it`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.empty.map(on: pager, pages: 4000)
            await region.fillPages(0..<4000)
            let target = SnapshotMemory()
            let snapshot = Task { try await region.snapshot(to: target) }
            await withTaskGroup { group in
                for number in 0..<64 {
                    group.addTask {
                        for page in stride(from: number, to: 4000, by: 64) {
                            region.store(UInt64.max, toByteOffset: page * region.pageSize)
                        }
                    }
                }
            }
            #expect(try await snapshot.value.savedPages == 4000)
            let image = SnapshotImage(try #require(target.image))
            for number in 0..<4000 {
                let value: UInt64 = image.load(number * page)
                #expect(value == UInt64(number) &* 0x9E37_79B9 || value == .max)
            }
        }
    }
}
