/// One run: a server, and threads that touch every page of its region once.
struct TouchRun {
    var source: PageSource
    var placement: Placement
    var threads: Int
    var pattern: TouchPattern
    var seed: UInt64
    /// Whether to keep when each touch ended.
    var keepsCompletions = false

    /// Measures `variant` and verifies every byte it served.
    func measure(_ variant: any Variant) async throws -> Sample {
        let server = try await variant.start(ServingWork(source: source, cpu: placement.serving))
        var sample = try touch(base: server.base, variant: variant.name)
        sample.counters = try await server.stop()
        guard sample.counters.failures == 0 else {
            throw RunError.failed("\(variant.name) failed to serve \(sample.counters.failures) faults.")
        }
        return sample
    }

    private func touch(base: UInt, variant: String) throws(RunError) -> Sample {
        let touchers = try Touchers(
            base: base, source: source, threads: threads, pattern: pattern, seed: seed,
            cpu: placement.faulting)
        let switches = System.contextSwitches
        let allocations = System.allocations
        try touchers.run()
        let allocationsAfter = System.allocations
        let switchesAfter = System.contextSwitches
        if touchers.mismatches > 0 {
            throw .mismatch(
                "Wrong contents from \(variant): \(touchers.mismatches) pages when they were touched.")
        }
        try source.requireEqual(at: base, variant: variant)
        return Sample(
            pages: source.pageCount, elapsed: touchers.elapsed, latency: Distribution(touchers.latencies),
            completions: keepsCompletions ? touchers.completions : [],
            contextSwitches: switchesAfter - switches, allocations: allocationsAfter - allocations)
    }
}
