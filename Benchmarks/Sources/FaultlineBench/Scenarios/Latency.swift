extension TouchScenario {
    /// A store that takes its time: what serving others meanwhile is worth.
    static let latency = TouchScenario(
        name: "latency",
        summary: "64 threads, random pages of a store that answers after \(DelayedStore.microseconds) µs",
        variants: [
            CVariant(name: "c-delayed", style: .delayed),
            FaultlineVariant(name: "faultline", style: .delayed),
        ],
        pattern: .shuffled,
        threads: (usual: [64], tour: [64]),
        takesThreads: true,
        pages: (usual: 10_000, tour: 2_000),
        ratios: [(numerator: "faultline", denominator: "c-delayed", metrics: [.throughput])],
        goals: [
            Goal(
                figure: .ratio("faultline", over: "c-delayed", .throughput), bound: .atLeast(40), threads: 64)
        ],
        least: .delay)
}
