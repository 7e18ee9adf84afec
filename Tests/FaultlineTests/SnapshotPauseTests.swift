import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Synchronization
import Testing
import Userfault

/// Writers that come to rest for the instant of a snapshot: the image is of the time between two transactions.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)),
    .serialized)
struct SnapshotPauseTests {
    /// A writer whose transactions are a number written to many pages, and that stops between two of them when it is told to.
    private final class Ledger: Sendable {
        let region: Region
        let isOver = Atomic(false)
        let pauses = Atomic(0)
        let resumptions = Atomic(0)
        private let isWanted = Atomic(false)
        private let isResting = Atomic(false)

        init(_ region: Region) { self.region = region }

        /// The pages of an entry: scattered, the last one is the first page.
        static func places(_ region: Region) -> [Int] {
            (1...64).map { $0 * 37 % region.pageCount } + [0]
        }

        func keep() -> FaultingThread<UInt64> {
            FaultingThread { [self] in
                var number: UInt64 = 0
                while !isOver.load(ordering: .acquiring) {
                    number += 1
                    for page in Self.places(region) {
                        region.store(number, toByteOffset: page * region.pageSize)
                    }
                    guard isWanted.load(ordering: .acquiring) else { continue }
                    isResting.store(true, ordering: .releasing)
                    while isWanted.load(ordering: .acquiring) { _ = usleep(10) }
                    isResting.store(false, ordering: .releasing)
                }
                return number
            }
        }

        var options: SnapshotOptions {
            SnapshotOptions(
                pauseWriters: { [self] in
                    let number = pauses.add(1, ordering: .relaxed).newValue
                    while isResting.load(ordering: .acquiring) { _ = usleep(10) }
                    isWanted.store(true, ordering: .releasing)
                    while !isResting.load(ordering: .acquiring) { _ = usleep(10) }
                    region.store(UInt64(number), toByteOffset: 8)
                },
                resumeWriters: { [self] in
                    resumptions.add(1, ordering: .relaxed)
                    isWanted.store(false, ordering: .releasing)
                })
        }
    }

    @Test func `an image is of the time between two transactions`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 3000)
            let ledger = Ledger(region)
            let writer = ledger.keep()
            do {
                for round in 1...10 {
                    let (image, report) = try await memorySnapshot(of: region, options: ledger.options)
                    let entries = Ledger.places(region).map {
                        image.load($0 * region.pageSize, as: UInt64.self)
                    }
                    #expect(Set(entries).count == 1, "round \(round): \(Set(entries))")
                    #expect(image.load(8, as: UInt64.self) == UInt64(round), "written during the pause")
                    #expect(report.savedPages == 3000)
                    #expect(ledger.pauses.load(ordering: .relaxed) == round)
                    #expect(ledger.resumptions.load(ordering: .relaxed) == round)
                }
            } catch {
                ledger.isOver.store(true, ordering: .releasing)
                _ = await writer.value
                throw error
            }
            ledger.isOver.store(true, ordering: .releasing)
            #expect(await writer.value > 0)
            #expect(await region.isFreeToWrite())
        }
    }

    @Test func `who writes much during the pause delays the instant, and nothing is lost`() async throws {
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 3000)
            await region.fillPages(0..<3000)
            let options = SnapshotOptions(pauseWriters: { await region.fillPages(0..<3000, salt: 1) })
            let (image, _) = try await memorySnapshot(of: region, options: options)
            #expect(
                Region.wrongPages(0..<3000, salt: 1, in: image, pageSize: region.pageSize).isEmpty)
            #expect(await region.isFreeToWrite())
        }
    }

    /// How a snapshot ends while its writers are asked to rest.
    enum Ending: String, CaseIterable, CustomTestStringConvertible {
        case cancelled, shutDown, unmapped

        var testDescription: String { rawValue }
        var code: PagerError.Code { self == .cancelled ? .cancelled : .shutDown }
    }

    /// A pause that takes until it is told to end: it blocks its thread, or waits in a task that nobody cancels.
    private struct EndlessPause {
        let blocks: Bool
        let isAsked = Gate()
        let isCancelled = Gate()
        let resumed = Gate()
        let resumptions = Lock(0)
        private let end = Gate()
        private let isEnded = Lock(false)

        func allowEnd() {
            isEnded.withLock { $0 = true }
            end.open()
        }

        var options: SnapshotOptions {
            SnapshotOptions(
                pauseWriters: { [self] in
                    isAsked.open()
                    guard blocks else {
                        return await withTaskCancellationHandler {
                            // Not for as long as its own task would let it.
                            await Task { await end.wait() }.value
                        } onCancel: {
                            isCancelled.open()
                        }
                    }
                    while !isEnded.withLock({ $0 }) { _ = usleep(100) }
                },
                resumeWriters: { [self] in
                    resumptions.withLock { $0 += 1 }
                    resumed.open()
                })
        }
    }

    @Test(arguments: Ending.allCases, [false, true])
    func `a snapshot that ends during the pause does not wait for it`(
        ending: Ending, blocks: Bool
    ) async throws {
        let pause = EndlessPause(blocks: blocks)
        let target = ScriptedTarget { _ in }
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 100)
            await region.fillPages(0..<100)
            let snapshot = Task { try await region.snapshot(to: target, options: pause.options) }
            await pause.isAsked.wait()
            switch ending {
            case .cancelled: snapshot.cancel()
            case .shutDown: await pager.shutdown()
            case .unmapped: try await pager.unmap(region)
            }
            let error = await #expect(throws: PagerError.self) { try await snapshot.value }
            #expect(error?.code == ending.code)
            #expect(target.written.isEmpty)
            #expect(target.abandoned == 1)
            #expect(pause.resumptions.withLock { $0 } == 0, "not while the writers are asked to rest")
            if !blocks { await pause.isCancelled.wait() }
            if ending == .cancelled {
                #expect(await region.isFreeToWrite())
                #expect(try await memorySnapshot(of: region).report.savedPages == 100, "and to be saved")
            }
            // At last they rest: nobody needs that any more.
            pause.allowEnd()
            await pause.resumed.wait()
            #expect(pause.resumptions.withLock { $0 } == 1)
            if ending == .cancelled { #expect(await region.isFreeToWrite()) }
        }
    }

    @Test func `nobody is paused for a snapshot that does not begin`() async throws {
        struct Refusing: SnapshotTarget {
            func begin(_ layout: SnapshotLayout) throws { throw POSIXFailure() }
            func write(_ bytes: RawSpan, at offset: Int) {}
        }
        struct POSIXFailure: Error {}
        try await withPager { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 100)
            let calls = Atomic(0)
            let options = SnapshotOptions(
                pauseWriters: { calls.add(1, ordering: .relaxed) },
                resumeWriters: { calls.add(1, ordering: .relaxed) })
            await #expect(throws: PagerError.self) {
                try await region.snapshot(to: Refusing(), options: options)
            }
            #expect(calls.load(ordering: .relaxed) == 0)
        }
    }
}
