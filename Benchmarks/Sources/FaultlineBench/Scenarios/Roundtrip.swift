extension TouchScenario {
    /// One thread, one page at a time: what the road from fault to page costs.
    static let roundtrip = TouchScenario(
        name: "roundtrip",
        summary: "one thread, one page at a time: latency of a single fault",
        variants: [
            CVariant(name: "c-read", style: .read),
            CVariant(name: "c-epoll", style: .epoll),
            NIOVariant(),
            BareVariant(),
            FaultlineVariant(name: "faultline-sync", style: .sync),
            FaultlineVariant(name: "faultline-async", style: .async),
            FaultlineVariant(name: "faultline-suspend", style: .suspending),
        ],
        acrossCores: [FaultlineVariant(name: "faultline-spin", style: .spinning)],
        pattern: .ascending,
        threads: (usual: [1], tour: [1]),
        pages: (usual: 20_000, tour: 5_000),
        ratios: [
            "nio", "reactor-bare", "faultline-sync", "faultline-async", "faultline-suspend", "faultline-spin",
        ].flatMap { name in
            ["c-epoll", "c-read"].map {
                (numerator: name, denominator: $0, metrics: [Metric.latency, .throughput])
            }
        },
        goals: [
            Goal(figure: .ratio("faultline-sync", over: "c-epoll", .latency), bound: .atMost(1.05)),
            Goal(figure: .ratio("faultline-async", over: "c-epoll", .latency), bound: .atMost(1.12)),
            Goal(figure: .ratio("faultline-suspend", over: "c-epoll", .latency), bound: .atMost(1.30)),
            Goal(figure: .value("faultline-sync", .contextSwitchesPerFault), bound: .atMost(2.05)),
            Goal(figure: .value("faultline-async", .contextSwitchesPerFault), bound: .atMost(2.05)),
            Goal(figure: .value("faultline-suspend", .contextSwitchesPerFault), bound: .atMost(2.05)),
            Goal(figure: .value("faultline-sync", .allocationsPerFault), bound: .atMost(0)),
            Goal(
                figure: .ratio("faultline-spin", over: "c-epoll", .latency), bound: .atMost(0.55), pin: .cross
            ),
        ])
}
