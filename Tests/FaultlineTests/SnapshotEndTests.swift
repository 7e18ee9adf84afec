import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

private struct TargetIsFull: Error {}

/// How snapshots end before their time: nobody waits, nothing stays protected, no write is lost, and the next one succeeds.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)),
    .serialized)
struct SnapshotEndTests {
    let page = SystemPage.size

    /// Threads that write all over a region until they are told to stop; what they wrote is compared in the end.
    private func withWriters(
        _ region: Region, _ body: () async throws -> Void
    ) async throws {
        let stop = StopSign()
        defer { stop.putUp() }
        let writers = (0..<3).map { number in
            FaultingThread {
                var random = TestRandom(TestSeed(), stream: UInt64(number))
                var written: [Int: UInt64] = [:]
                while !stop.isUp {
                    let page = random.below(region.pageCount)
                    let value = random.next()
                    region.store(value, toByteOffset: page * region.pageSize + 8 * number)
                    written[page] = value
                    _ = usleep(20)
                }
                return written
            }
        }
        do { try await body() } catch {
            stop.putUp()
            for writer in writers { _ = await writer.value }
            throw error
        }
        stop.putUp()
        for (number, writer) in writers.enumerated() {
            let written = await writer.value
            let wrong = await FaultingThread {
                written.filter { page, value in
                    region.load(fromByteOffset: page * region.pageSize + 8 * number, as: UInt64.self) != value
                }.count
            }.value
            #expect(wrong == 0, "\(wrong) writes have been lost")
        }
    }

    @Test(arguments: TrackedKind.saved)
    func `a target that fails midway ends the snapshot with its error`(kind: TrackedKind) async throws {
        try await withPager { pager in
            let region = try await kind.map(on: pager, pages: 2000)
            try await withWriters(region) {
                for failAt in [0, 1, 5, 20] {
                    let target = ScriptedTarget { count in if count == failAt { throw TargetIsFull() } }
                    let error = await #expect(throws: PagerError.self) {
                        try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 0))
                    }
                    #expect(error?.code == .targetFailed)
                    #expect(error?.underlyingError is TargetIsFull)
                    #expect(target.abandoned == 1)
                    #expect(target.written.count == failAt)
                }
                let (_, report) = try await memorySnapshot(of: region)
                #expect(report.savedPages == 2000)
            }
            #expect(await region.isFreeToWrite())
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test func `a target that fails to begin or to finish has its say too`() async throws {
        struct Fickle: SnapshotTarget {
            let failsToBegin: Bool
            func begin(_ layout: SnapshotLayout) throws { if failsToBegin { throw TargetIsFull() } }
            func write(_ bytes: RawSpan, at offset: Int) {}
            func finish() throws { throw TargetIsFull() }
        }
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 100)
            await region.fillPages(0..<100)
            for failsToBegin in [true, false] {
                let error = await #expect(throws: PagerError.self) {
                    try await region.snapshot(to: Fickle(failsToBegin: failsToBegin))
                }
                #expect(error?.code == .targetFailed)
                #expect(await region.isFreeToWrite())
            }
            #expect(try await memorySnapshot(of: region).report.savedPages == 100)
        }
    }

    @Test func `a cancelled snapshot ends soon, wherever it is`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 2000)
            try await withWriters(region) {
                for number in 0..<40 {
                    let target = ScriptedTarget { count in
                        // For ever, but for the cancellation.
                        if count == number % 10 { try await Task.sleep(for: .seconds(3600)) }
                    }
                    let snapshot = Task {
                        try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 0))
                    }
                    if number % 4 != 0 { try await Task.sleep(for: .microseconds(number * 100)) }
                    snapshot.cancel()
                    let error = await #expect(throws: PagerError.self) { try await snapshot.value }
                    #expect(error?.code == .cancelled)
                }
                #expect(try await memorySnapshot(of: region).report.savedPages == 2000)
            }
            #expect(await region.isFreeToWrite())
        }
    }

    @Test func `unmapping the region ends its snapshot`() async throws {
        try await withPager { pager in
            for number in 0..<10 {
                let region = try await TrackedKind.empty.map(on: pager, pages: 2000)
                await region.fillPages(0..<2000)
                let isWriting = Gate()
                let gate = Gate()
                let target = ScriptedTarget { count in
                    if count == number { isWriting.open(); await gate.wait() }
                }
                let snapshot = Task {
                    try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 0))
                }
                await isWriting.wait()
                let writer = FaultingThread { region.store(UInt8(1), toByteOffset: 1999 * region.pageSize) }
                await writer.waitUntilParked()
                try await pager.unmap(region)
                await writer.value
                gate.open()
                let error = await #expect(throws: PagerError.self) { try await snapshot.value }
                #expect(error?.code == .shutDown)
                #expect(target.abandoned == 1)
                // What the kernel filled stays the application's.
                let value = await FaultingThread {
                    region.load(fromByteOffset: 5 * region.pageSize, as: UInt64.self)
                }
                .value
                #expect(value == 5 &* 0x9E37_79B9)
            }
        }
    }

    @Test(arguments: [Duration.zero, .seconds(5)])
    func `a shutdown of the pager ends snapshots, whatever they do`(deadline: Duration) async throws {
        for number in 0..<10 {
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let region = try await TrackedKind.supplied.map(on: pager, pages: 2000)
            await region.fillPages(0..<1000)
            let target = ScriptedTarget { count in
                if count == 3 { try await Task.sleep(for: .microseconds(number * 200)) }
            }
            let snapshot = Task {
                try await region.snapshot(to: target, options: SnapshotOptions(memoryLimit: 0))
            }
            let stop = StopSign()
            defer { stop.putUp() }
            let writer = FaultingThread {
                var count = 0
                while !stop.isUp {
                    region.store(UInt64(count), toByteOffset: count % 1000 * region.pageSize)
                    count += 1
                    _ = usleep(20)
                }
            }
            try await Task.sleep(for: .microseconds(number * 300))
            await pager.shutdown(within: deadline)
            stop.putUp()
            await writer.value
            do {
                let report = try await snapshot.value
                #expect(report.savedPages == 2000)
            } catch {
                #expect((error as? PagerError)?.code == .shutDown, "\(error)")
            }
            await reactor.shutdown()
        }
    }
}

/// Snapshots in files.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)))
struct SnapshotFileTests {
    let page = SystemPage.size

    @Test(arguments: [true, false], [true, false])
    func `an image in a file restores the region`(isSparse: Bool, synchronizes: Bool) async throws {
        let file = TemporaryFile([1, 2, 3])
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 3000)
            await region.fillPages(100..<200, salt: 3)
            await region.fillPages(2999..<3000, salt: 3)
            let target = SnapshotFile(path: file.path, isSparse: isSparse, synchronizes: synchronizes)
            for _ in 0..<2 {
                let report = try await region.snapshot(to: target)
                #expect(report.savedPages == 3000)
            }
            #expect(unsafe access(file.path + ".partial", F_OK) != 0)
            var status = stat()
            #expect(unsafe stat(file.path, &status) == 0)
            #expect(Int(status.st_size) == region.byteCount)
            if isSparse { #expect(Int(status.st_blocks) * 512 < 2000 * page) }
            let restored = try await pager.map(
                byteCount: region.byteCount, handler: FileHandler(path: file.path))
            let isSame = await FaultingThread {
                (0..<3000).allSatisfy { number in
                    restored.load(fromByteOffset: number * restored.pageSize + 512, as: UInt64.self)
                        == region.load(fromByteOffset: number * region.pageSize + 512, as: UInt64.self)
                }
            }.value
            #expect(isSame)
        }
    }

    @Test func `an image in memory restores the region, as often as wanted`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 100)
            let target = SnapshotMemory()
            #expect(target.image == nil)
            var images: [PageSource] = []
            for salt in 0..<3 {
                await region.fillPages(0..<100, salt: UInt64(salt))
                _ = try await region.snapshot(to: target)
                images.append(try #require(target.image))
            }
            for (salt, image) in images.enumerated() {
                #expect(
                    Region.wrongPages(0..<100, salt: UInt64(salt), in: SnapshotImage(image), pageSize: page)
                        .isEmpty)
                let restored = try await pager.map(byteCount: region.byteCount, handler: MemoryHandler(image))
                let value = await FaultingThread {
                    restored.load(fromByteOffset: 99 * restored.pageSize, as: UInt64.self)
                }
                .value
                #expect(value == 99 &* 0x9E37_79B9 &+ UInt64(salt))
            }
        }
    }

    @Test func `a file that cannot be made or is too large fails the snapshot, and is gone`() async throws {
        let file = TemporaryFile([7])
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 1000)
            await region.fillPages(0..<1000)
            let nowhere = await #expect(throws: PagerError.self) {
                try await region.snapshot(to: SnapshotFile(path: file.path + "/nowhere"))
            }
            #expect((nowhere?.underlyingError as? SystemFailure)?.errno == Errno(rawValue: ENOTDIR))
            // The old file stays when the new one fails.
            let target = SnapshotFile(path: file.path)
            let savedPages = Lock<[Int]>([])
            let options = SnapshotOptions(onProgress: { progress in
                #expect(progress.totalPages == 1000)
                savedPages.withLock { $0.append(progress.savedPages) }
            })
            let error = await #expect(throws: PagerError.self) {
                try await region.snapshot(to: FailingFile(file: target), options: options)
            }
            #expect(error?.code == .targetFailed)
            let counts = savedPages.withLock { $0 }
            #expect(!counts.isEmpty && counts == counts.sorted())
            #expect(unsafe access(file.path + ".partial", F_OK) != 0)
            var status = stat()
            #expect(unsafe stat(file.path, &status) == 0)
            #expect(status.st_size == 1)
        }
    }
}

/// A file on a disk that is full after a while.
private final class FailingFile: SnapshotTarget {
    private let file: SnapshotFile
    private let writes = Counter()

    init(file: SnapshotFile) { self.file = file }

    func begin(_ layout: SnapshotLayout) throws { try file.begin(layout) }

    func write(_ bytes: RawSpan, at offset: Int) throws {
        writes.value += 1
        if writes.value == 3 { throw TargetIsFull() }
        try file.write(bytes, at: offset)
    }

    func finish() throws { try file.finish() }
    func abandon() { file.abandon() }
}
