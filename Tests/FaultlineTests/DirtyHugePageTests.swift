import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Tracking and snapshots of memory in pages of 2 MiB.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .requiresHugePages,
    .timeLimit(.minutes(5)))
struct DirtyHugePageTests {
    private static let engines: [DirtyTracker.Engine] =
        UserfaultfdRequirement.unmet(.asynchronousWriteProtect, kernelFaults: false) == nil
        ? [.messages, .asynchronous] : [.messages]

    private func map(_ pager: Pager, isShared: Bool, supplied: Bool, pages: Int) async throws -> Region {
        let options = RegionOptions(
            modes: supplied ? [.missing, .writeProtect] : .writeProtect, usesHugePages: !isShared)
        guard isShared else {
            return try await pager.map(byteCount: pages << 21, handler: TrackedHandler(), options: options)
        }
        let memory = try SharedMemory(byteCount: pages << 21, hugePages: true)
        return try await pager.map(memory, handler: TrackedHandler(), options: options)
    }

    @Test(arguments: [false, true], [false, true])
    func `huge pages are tracked as a whole`(isShared: Bool, supplied: Bool) async throws {
        let loan = try HugePageLoan()
        for engine in Self.engines {
            let choice: Pager.WriteProtection = engine == .messages ? .messages : .asynchronousWherePossible
            try await withPager(Pager.Configuration(writeProtection: choice)) { pager in
                let region = try await map(pager, isShared: isShared, supplied: supplied, pages: 12)
                #expect(region.pageSize == 2 << 20)
                await FaultingThread {
                    for page in 0..<4 { region.store(UInt8(1), toByteOffset: page * region.pageSize) }
                }.value
                let tracker = try await region.trackDirty()
                #expect(tracker.engine == engine)
                for written in [[1, 2, 3], [], [0, 7, 8, 11]] {
                    await FaultingThread {
                        for page in 0..<10 {
                            _ = region.load(fromByteOffset: page * region.pageSize, as: UInt8.self)
                        }
                        for page in written {
                            region.store(UInt8(2), toByteOffset: page * region.pageSize + 12345 * page)
                        }
                    }.value
                    let collected = try await tracker.collect()
                    #expect(collected.numbers(from: region.range.start) == written)
                    #expect(collected.pageSize == 2 << 20)
                }
                await tracker.stop()
            }
        }
        withExtendedLifetime(loan) {}
    }

    @Test(arguments: [false, true], [false, true])
    func `an image of huge pages shows one instant`(isShared: Bool, supplied: Bool) async throws {
        let loan = try HugePageLoan()
        try await withPager { pager in
            let seed = TestSeed()
            let region = try await map(pager, isShared: isShared, supplied: supplied, pages: 12)
            let writers = OrderedWriters(region, pairs: 2, seed: seed)
            await writers.start(seed: seed)
            defer { writers.stop() }
            for round in 0..<(TestProcess.hasSanitizer ? 2 : 5) {
                let (image, report) = try await memorySnapshot(of: region)
                #expect(report.savedPages == 12)
                writers.check(image, "round \(round), \(seed)")
            }
            await writers.finish("\(seed)")
            #expect(await region.isFreeToWrite())
        }
        withExtendedLifetime(loan) {}
    }
}
