import Glibc
import Testing
import Userfault

@testable import FaultlineBench

@Suite(.timeLimit(.minutes(5))) struct SnapshotTests {
    private func run(_ variant: any SnapshotVariant, threads: Int) async throws -> SnapshotRun.Result {
        let run = SnapshotRun(pages: 2048, threads: threads, seed: 9, placement: try Placement(.none))
        return try await run.measure(variant)
    }

    private static let variants = SnapshotScenario().variants.filter { variant in
        guard !variant.features.isEmpty else { return true }
        return (try? Userfaultfd.probe().availableFeatures.isSuperset(of: variant.features)) ?? false
    }

    @Test(arguments: variants.indices, [1, 3])
    func everyImageShowsTheStateOfOneInstant(index: Int, threads: Int) async throws {
        let result = try await run(SnapshotTests.variants[index], threads: threads)
        #expect(result.time > 0)
        #expect(result.pauses.count > 0)
        #expect(result.pauses.longest >= result.pauses.quantile(0.5))
    }

    /// What is copied while it is being written to is of no one instant.
    @Test func aCopyOfNoOneInstantIsFoundOut() async throws {
        let error = await #expect(throws: RunError.self) { try await run(CopySnapshot(), threads: 1) }
        #expect("\(error.map { $0.description } ?? "")".hasPrefix("The image by copy is wrong at page"))
    }

    @Test func aChangedWordIsFoundOut() throws {
        let memory = try SnapshotMemory(pages: 64, threads: 2, seed: 3)
        try memory.verify(memory.range.start, of: "Fresh memory")
        for offset in [0, 8, 4088] {
            let address = memory.range.start + UInt(50 * System.pageSize + offset)
            flip(address)
            #expect(throws: RunError.self) { try memory.verify(memory.range.start, of: "Changed memory") }
            flip(address)
        }
        try memory.verify(memory.range.start, of: "Memory put right")
    }

    private func flip(_ address: UInt) {
        guard let word = unsafe UnsafeMutablePointer<UInt64>(bitPattern: address) else { return }
        unsafe word.pointee ^= 4
    }

    @Test func quantilesOfPausesComeFromTheirBuckets() {
        let pauses = Pauses(counts: [90, 9, 1], bounds: [10, 20, 40], longest: 33)
        #expect(pauses.count == 100)
        #expect(pauses.quantile(0) == 10)
        #expect(pauses.quantile(0.9) == 10)
        #expect(pauses.quantile(0.99) == 20)
        #expect(pauses.quantile(0.999) == 33)
        #expect(pauses.distribution.curve.last == 33)
    }
}

/// Writes the memory page by page while threads write to it.
private struct CopySnapshot: SnapshotVariant {
    var name: String { "copy" }
    var features: Features { [] }

    func start(_ work: SnapshotWork) async throws -> any RunningSnapshot { Running(memory: work.memory) }

    private struct Running: RunningSnapshot {
        var memory: AddressRange

        func take(to path: String) async throws -> Bool {
            guard let file = unsafe fopen(path, "w") else { return false }
            defer { unsafe fclose(file) }
            for offset in stride(from: 0, to: memory.byteCount, by: System.pageSize) {
                let page = unsafe UnsafeRawPointer(bitPattern: memory.start + UInt(offset))
                unsafe fwrite(page, 1, System.pageSize, file)
                // Long enough for the writers to go on.
                if offset.isMultiple(of: 128 * System.pageSize) { System.sleep(nanoseconds: 1_000_000) }
            }
            return true
        }

        func stop() async throws {}
    }
}
