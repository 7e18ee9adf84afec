extension TouchScenario {
    /// Many threads that fault at once: what batching and merged wakes are worth.
    static let threads = TouchScenario(
        name: "threads",
        summary: "1, 4, 16 and 64 threads that touch random pages at once",
        variants: [
            CVariant(name: "c-one", style: .epoll),
            CVariant(name: "c-batch", style: .batch),
            CVariant(name: "c-merged", style: .merged),
            NIOVariant(),
            FaultlineVariant(name: "faultline", style: .sync),
        ],
        pattern: .shuffled,
        threads: (usual: [1, 4, 16, 64], tour: [1, 16, 64]),
        takesThreads: true,
        pages: (usual: 20_000, tour: 5_000),
        ratios: ["c-one", "c-batch", "c-merged"].map {
            (numerator: "faultline", denominator: $0, metrics: [Metric.throughput, .latency])
        },
        goals: [
            Goal(figure: .ratio("faultline", over: "c-one", .throughput), bound: .atLeast(1.4), threads: 64),
            Goal(figure: .value("faultline", .ioctlsPerFault), bound: .atMost(1.05), threads: 64),
        ]
            // Whichever of the three is best.
            + [16, 64].flatMap { threads in
                ["c-one", "c-batch", "c-merged"].map {
                    Goal(
                        figure: .ratio("faultline", over: $0, .throughput), bound: .atLeast(0.97),
                        threads: threads)
                }
            })
}
