extension TouchScenario {
    /// A store that computes: what a second reactor is worth.
    static let cores = TouchScenario(
        name: "cores",
        summary: "16 threads, random pages of a store that computes for \(BusyStore.microseconds) µs",
        variants: [
            CVariant(name: "c-busy", style: .busy),
            FaultlineGroupVariant(name: "faultline-1", reactors: 1),
            FaultlineGroupVariant(name: "faultline-2", reactors: 2),
        ],
        pattern: .shuffled,
        threads: (usual: [16], tour: [16]),
        takesThreads: true,
        pages: (usual: 20_000, tour: 4_000),
        ratios: [
            (numerator: "faultline-2", denominator: "faultline-1", metrics: [.throughput, .latency]),
            (numerator: "faultline-1", denominator: "c-busy", metrics: [.throughput]),
            (numerator: "faultline-2", denominator: "c-busy", metrics: [.throughput]),
        ],
        goals: [
            Goal(
                figure: .ratio("faultline-2", over: "faultline-1", .throughput), bound: .atLeast(1.5),
                threads: 16, pin: .none)
        ],
        least: .computing,
        usualPin: Pinning.none)
}
