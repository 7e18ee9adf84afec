import Testing

@testable import FaultlineBench

@Suite struct MeasuringTests {
    @Test(.enabled(if: System.allocationsAreCounted)) func allocationsAreCounted() {
        let before = System.allocations
        var kept: [[Int]] = []
        for size in 1...100 { kept.append([Int](repeating: size, count: size)) }
        #expect(System.allocations - before >= 100)
        #expect(kept.count == 100)
    }

    @Test func wrongContentsAreFound() throws {
        let left = try Contents(pages: 4, seed: 1)
        let same = try Contents(pages: 4, seed: 1)
        let other = try Contents(pages: 4, seed: 2)
        try left.requireEqual(at: same.address, pages: 4, variant: "same")
        #expect(throws: RunError.self) {
            try left.requireEqual(at: other.address, pages: 4, variant: "other")
        }
    }

    @Test func roundsRotateAndDiscardTheWarmUp() async throws {
        var order: [Int] = []
        let samples = try await Rounds(count: 2, progress: Progress()).run("test", ["a", "b"]) {
            variant, round in
            order.append(variant)
            return round
        }
        #expect(order == [0, 1, 1, 0, 0, 1])
        #expect(samples == [[1, 2], [1, 2]])
    }

    @Test(
        .enabled(if: UserfaultAccess.probe().isOpen), .timeLimit(.minutes(5)),
        arguments: [CVariant.Style.read, .epoll, .batch, .merged, .busy, .delayed])
    func everyBaselineServesEveryPage(style: CVariant.Style) async throws {
        try await Self.checkThatEveryPageIsServed(style)
    }

    static func checkThatEveryPageIsServed(_ style: CVariant.Style) async throws {
        let run = TouchRun(
            source: try Contents(pages: 264, seed: 7), pages: 200, placement: try Placement(.none),
            threads: 4,
            pattern: .shuffled, seed: 1)
        let sample = try await run.measure(CVariant(name: "c", style: style))
        #expect(sample.counters.messages == 264)
        #expect(sample.counters.bytes == UInt64(264 * System.pageSize))
    }
}
