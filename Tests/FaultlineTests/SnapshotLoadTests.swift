import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Synchronization
import Testing
import Userfault

/// Threads that write in an order that an image must not contradict.
///
/// Each has a pair of pages and counts up: first in the one, then in the other. In every image the second page is as new
/// as the first or one step behind. A second kind hands its count on to a partner, who writes it to a page of its own: that page
/// must not be newer than the first thread's.
private final class OrderedWriters: Sendable {
    private let region: Region
    private let first: [Int]
    private let second: [Int]
    private let partner: [Int]
    private let counts: [Counter]
    private let stop = StopSign()
    private let threads = Lock<[FaultingThread<UInt64>]>([])

    /// `noise`: pages that are written without any order, as many a time.
    init(_ region: Region, pairs: Int, seed: TestSeed) {
        self.region = region
        var random = TestRandom(seed)
        var pages = Array(0..<region.pageCount)
        pages.shuffle(using: &random)
        first = Array(pages[0..<pairs])
        second = Array(pages[pairs..<2 * pairs])
        partner = Array(pages[2 * pairs..<3 * pairs])
        counts = (0..<pairs).map { _ in Counter() }
    }

    func start(seed: TestSeed) {
        var started: [FaultingThread<UInt64>] = []
        for number in first.indices {
            started.append(FaultingThread { [self] in count(number, seed) })
            started.append(FaultingThread { [self] in follow(number) })
        }
        threads.withLock { $0 = started }
    }

    private func store(_ value: UInt64, _ page: Int) {
        // At both ends of the page, so that a torn one is noticed.
        region.store(value, toByteOffset: page * region.pageSize)
        region.store(value, toByteOffset: (page + 1) * region.pageSize - 8)
    }

    private func count(_ number: Int, _ seed: TestSeed) -> UInt64 {
        var random = TestRandom(seed, stream: UInt64(number + 1))
        let used = Set(first + second + partner)
        var value: UInt64 = 0
        while !stop.isUp {
            value += 1
            store(value, first[number])
            counts[number].value = value
            // Pages that nobody looks at, to have more of them written.
            let other = random.below(region.pageCount)
            if !used.contains(other) {
                region.store(value, toByteOffset: other * region.pageSize + 8 * number)
            }
            store(value, second[number])
            if value % 64 == 0 { _ = usleep(100) }
        }
        return value
    }

    private func follow(_ number: Int) -> UInt64 {
        var value: UInt64 = 0
        while !stop.isUp {
            let next = counts[number].value
            if next == value {
                _ = usleep(20)
                continue
            }
            value = next
            store(value, partner[number])
        }
        return value
    }

    func check(_ image: SnapshotImage, _ comment: String) {
        func load(_ page: Int) -> (UInt64, UInt64) {
            (image.load(page * region.pageSize), image.load((page + 1) * region.pageSize - 8))
        }
        for number in first.indices {
            let (a, b, c) = (load(first[number]), load(second[number]), load(partner[number]))
            #expect(a.0 == a.1 || a.0 == a.1 + 1, "first page is torn: \(a), \(comment)")
            #expect(b.0 == b.1 || b.0 == b.1 + 1, "second page is torn: \(b), \(comment)")
            #expect(b.0 <= a.1 && a.0 <= b.1 + 1, "the second write without the first: \(a) \(b), \(comment)")
            #expect(c.0 >= c.1 && c.0 <= a.1, "the follower is ahead: \(a) \(c), \(comment)")
        }
    }

    /// Every write has arrived in the region.
    func finish(_ comment: String) async {
        stop.putUp()
        let threads = threads.withLock { $0 }
        var values: [UInt64] = []
        for thread in threads { values.append(await thread.value) }
        let last = await FaultingThread { [self] in
            (first + second + partner).map {
                region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self)
            }
        }.value
        for number in first.indices {
            #expect(last[number] == values[2 * number], "\(comment)")
            #expect(last[first.count + number] == values[2 * number], "\(comment)")
            #expect(last[2 * first.count + number] == values[2 * number + 1], "\(comment)")
        }
    }
}

/// Images of regions that threads write to all the time.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(1)))
struct SnapshotLoadTests {
    let page = SystemPage.size

    @Test(arguments: TrackedKind.allCases)
    func `an image shows one instant, whatever threads write meanwhile`(kind: TrackedKind) async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let region = try await kind.map(on: pager, pages: 512)
            let writers = OrderedWriters(region, pairs: 3, seed: seed)
            writers.start(seed: seed)
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
            writers.start(seed: seed)
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

    @Test func `a tracker goes on while snapshots are taken`() async throws {
        try await withPager { pager in
            let seed = TestSeed()
            let region = try await TrackedKind.supplied.map(on: pager, pages: 256)
            let tracker = try await region.trackDirty()
            let log = CollectionLog()
            let writers = (0..<3).map { number in
                FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(number + 1))
                    for _ in 0..<(TestProcess.hasSanitizer ? 50 : 300) {
                        let target = random.below(256)
                        log.write(page: target) {
                            region.store(UInt8(1), toByteOffset: target * region.pageSize + number)
                        }
                    }
                }
            }
            let snapshots = Task {
                var count = 0
                while !writers.allSatisfy(\.isFinished) {
                    _ = try await region.snapshot(to: SnapshotMemory())
                    count += 1
                }
                return count
            }
            try await log.collect(tracker, until: writers)
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
            writers.start(seed: seed)
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
