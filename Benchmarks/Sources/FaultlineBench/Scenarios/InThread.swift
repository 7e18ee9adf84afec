extension TouchScenario {
    /// One thread, one page at a time, resolved by the thread that faults: what two switches to a loop and back cost.
    static let inThread = TouchScenario(
        name: "inthread",
        summary: "one thread that resolves its own faults in a handler of SIGBUS, beside a loop that does",
        variants: [
            CVariant(name: "c-epoll", style: .epoll),
            CVariant(name: "c-sigbus", style: .signal),
            FaultlineVariant(name: "faultline-inthread", style: .inThread),
        ],
        pattern: .ascending,
        threads: (usual: [1], tour: [1]),
        pages: (usual: 20_000, tour: 5_000),
        ratios: [
            (numerator: "faultline-inthread", denominator: "c-sigbus", metrics: [.latency, .throughput]),
            (numerator: "faultline-inthread", denominator: "c-epoll", metrics: [.latency, .throughput]),
            (numerator: "c-sigbus", denominator: "c-epoll", metrics: [.latency, .throughput]),
        ],
        goals: [
            Goal(figure: .ratio("faultline-inthread", over: "c-sigbus", .latency), bound: .atMost(1.10)),
            Goal(figure: .ratio("faultline-inthread", over: "c-epoll", .latency), bound: .atMost(0.65)),
            Goal(figure: .value("faultline-inthread", .contextSwitchesPerFault), bound: .atMost(0.05)),
        ],
        alsoCross: true)
}
