extension TouchScenario {
    /// Pages come over loopback TCP from a page server on another processor: what pipelining is worth.
    static let remote = TouchScenario(
        name: "remote",
        summary: "1, 16 and 64 threads whose pages come from a page server over loopback TCP",
        variants: [
            RemoteVariant(name: "c-blocking", style: .blocking),
            RemoteVariant(name: "faultline-remote", style: .pipelined),
            RemoteVariant(name: "faultline-spin", style: .spinning),
        ],
        pattern: .shuffled,
        threads: (usual: [1, 16, 64], tour: [1, 64]),
        takesThreads: true,
        pages: (usual: 20_000, tour: 3_000),
        ratios: [
            (numerator: "faultline-remote", denominator: "c-blocking", metrics: [.throughput, .latency]),
            (numerator: "faultline-spin", denominator: "c-blocking", metrics: [.throughput, .latency]),
        ],
        goals: [
            Goal(
                figure: .ratio("faultline-remote", over: "c-blocking", .throughput), bound: .atLeast(6),
                threads: 64),
            Goal(
                figure: .ratio("faultline-remote", over: "c-blocking", .latency), bound: .atMost(1.15),
                threads: 1),
        ])
}
