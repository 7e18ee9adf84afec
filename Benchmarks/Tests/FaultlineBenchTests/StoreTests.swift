import Testing

@testable import FaultlineBench

@Suite(.enabled(if: UserfaultAccess.probe().isOpen), .timeLimit(.minutes(5))) struct StoreTests {
    private func measure(_ variant: any Variant, threads: Int = 4) async throws -> Sample {
        let warmUp = TouchRun.usualWarmUp * threads
        let run = TouchRun(
            source: try Contents(pages: 200 + warmUp, seed: 7), pages: 200, placement: try Placement(.none),
            threads: threads, pattern: .shuffled, seed: 1)
        let sample = try await run.measure(variant)
        #expect(sample.counters.bytes == UInt64((200 + warmUp) * System.pageSize))
        return sample
    }

    @Test(arguments: [1, 2, 3]) func aGroupServesEveryPage(reactors: Int) async throws {
        _ = try await measure(FaultlineGroupVariant(name: "group", reactors: reactors))
    }

    @Test func aStoreThatTakesItsTimeIsWaitedForByEachThreadAlone() async throws {
        let delay = Double(DelayedStore.microseconds) * 1000
        let faultline = try await measure(FaultlineVariant(name: "faultline", style: .delayed))
        #expect(faultline.latency.p50 >= delay)
        let serial = try await measure(CVariant(name: "c-delayed", style: .delayed))
        #expect(Double(serial.elapsed) >= 200 * delay, "one after the other")
    }

    @Test(arguments: [RemoteVariant.Style.blocking, .pipelined, .spinning])
    func pagesComeOverASocket(style: RemoteVariant.Style) async throws {
        let sample = try await measure(RemoteVariant(name: "remote", style: style))
        #expect(sample.latency.p50 > 0)
    }

    @Test func workTakesTime() {
        let rounds = BusyStore.rounds
        #expect(rounds > 1000)
        let begun = System.now
        System.work(rounds: 100 * rounds)
        // No less than half, on a machine whose clock goes up and down.
        #expect(System.now - begun > UInt64(100 * BusyStore.microseconds) * 500)
    }

    @Test func spinningIsForTwoCores() {
        #expect(TouchScenario.roundtrip.variantNames.contains("faultline-spin"))
        #expect(!TouchScenario.roundtrip.variants.map(\.name).contains("faultline-spin"))
    }
}
