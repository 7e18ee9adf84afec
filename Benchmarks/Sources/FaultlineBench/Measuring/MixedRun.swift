/// One run of a loop that serves faults, an echo server and a timer.
struct MixedRun {
    /// What came of it.
    struct Result {
        /// Present when there were faults.
        var faults: Sample?
        /// Nanoseconds per round trip.
        var echo: Distribution
        var echoesPerSecond: Double
        /// Nanoseconds after each tick was due.
        var lateness: Distribution
    }

    static let interval: UInt64 = 1_000_000
    /// How long the echo runs when no faults set the time, nanoseconds.
    static let quietTime: UInt64 = 300_000_000

    var source: Contents
    /// How many pages are measured; those behind them are for warming up.
    var pages: Int
    var placement: Placement
    var threads: Int
    var seed: UInt64

    /// Measures the loop with faults or without.
    func measure(_ variant: any MixedVariant, withFaults: Bool) async throws -> Result {
        let work = MixedWork(
            source: source, cpu: placement.serving, interval: MixedRun.interval, tickLimit: 100_000)
        let loop = try await variant.start(work)
        var (sample, echoes, time) = try drive(loop, withFaults: withFaults, variant: variant.name)
        let outcome = try await loop.stop()
        sample?.counters = outcome.counters
        guard outcome.counters.failures == 0 else {
            throw RunError.failed("\(variant.name) failed to serve \(outcome.counters.failures) faults.")
        }
        guard !echoes.isEmpty, !outcome.lateness.isEmpty else {
            throw RunError.failed("\(variant.name) served no echo or no tick: give it more pages.")
        }
        return Result(
            faults: sample, echo: Distribution(echoes),
            echoesPerSecond: Double(echoes.count) / (Double(time) / 1e9),
            lateness: Distribution(outcome.lateness))
    }

    private func drive(
        _ loop: any RunningMixed, withFaults: Bool, variant: String
    ) throws(RunError) -> (faults: Sample?, echoes: [UInt64], time: UInt64) {
        guard withFaults else {
            let client = try EchoClient(port: loop.port, cpu: placement.faulting, limit: 1_000_000)
            let begin = System.now
            System.sleep(nanoseconds: MixedRun.quietTime)
            let time = System.now - begin
            return (nil, try client.stop(), time)
        }
        let touchers = try Touchers(
            base: loop.base, source: source, pages: pages, warmUp: TouchRun.usualWarmUp, threads: threads,
            pattern: .shuffled, seed: seed, cpu: placement.faulting)
        let client = try EchoClient(port: loop.port, cpu: placement.faulting, limit: 1_000_000)
        let switches = System.contextSwitches
        let allocations = System.allocations
        try touchers.run()
        let allocationsAfter = System.allocations
        let switchesAfter = System.contextSwitches
        let echoes = try client.stop()
        if touchers.mismatches > 0 {
            throw .mismatch(
                "Wrong contents from \(variant): \(touchers.mismatches) pages when they were touched.")
        }
        let served = pages + threads * TouchRun.usualWarmUp
        try source.requireEqual(at: loop.base, pages: served, variant: variant)
        let sample = Sample(
            pages: pages, served: served, elapsed: touchers.elapsed,
            latency: Distribution(touchers.latencies),
            contextSwitches: switchesAfter - switches, allocations: allocationsAfter - allocations)
        return (sample, echoes, touchers.elapsed)
    }
}
