/// One run: a server, and threads that touch every page of its region once.
struct TouchRun {
    var source: Contents
    /// How many pages are measured; those behind them are for warming up.
    var pages: Int
    /// Pages that each thread touches before the measurement, so that what is made at the first fault is not counted.
    var warmUp = TouchRun.usualWarmUp
    var placement: Placement
    var threads: Int
    var pattern: TouchPattern
    var seed: UInt64
    /// Whether to keep when each touch ended.
    var keepsCompletions = false

    static let usualWarmUp = 16

    /// Measures `variant` and verifies every byte it served.
    func measure(_ variant: any Variant) async throws -> Sample {
        let server = try await variant.start(ServingWork(source: source, cpu: placement.serving))
        var sample = try touch(server, variant: variant.name)
        if let floor = server.nanosecondsPerPage { sample.elapsed = UInt64(floor * Double(pages)) }
        sample.counters = try await server.stop()
        guard sample.counters.failures == 0 else {
            throw RunError.failed("\(variant.name) failed to serve \(sample.counters.failures) faults.")
        }
        return sample
    }

    private func touch(_ server: any RunningServer, variant: String) throws(RunError) -> Sample {
        let base = server.base
        let touchers = try Touchers(
            base: base, addresses: server.addresses, source: source, pages: pages, warmUp: warmUp,
            threads: threads, pattern: pattern,
            seed: seed,
            cpu: placement.faulting)
        let switches = System.contextSwitches
        let allocations = System.allocations
        let begun = System.now
        server.begin()
        let lead = System.now - begun
        try touchers.run()
        let allocationsAfter = System.allocations
        let switchesAfter = System.contextSwitches
        if touchers.mismatches > 0 {
            throw .mismatch(
                "Wrong contents from \(variant): \(touchers.mismatches) pages when they were touched.")
        }
        let served = pages + threads * warmUp
        if let addresses = server.addresses {
            try source.requireEqual(at: addresses.prefix(served), variant: variant)
        } else {
            try source.requireEqual(at: base, pages: served, variant: variant)
        }
        return Sample(
            pages: pages, served: served, elapsed: touchers.elapsed + (lead > 1000 ? lead : 0),
            latency: Distribution(touchers.latencies),
            completions: keepsCompletions ? touchers.completions : [],
            contextSwitches: switchesAfter - switches, allocations: allocationsAfter - allocations)
    }
}
