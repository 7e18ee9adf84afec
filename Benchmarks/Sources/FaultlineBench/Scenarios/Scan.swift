extension TouchScenario {
    /// One thread from the first page to the last: what reading ahead is worth.
    static let scan = TouchScenario(
        name: "scan",
        summary: "one thread, ascending pages: throughput of a sequential reader",
        variants: [
            CVariant(name: "c-epoll", style: .epoll),
            FaultlineVariant(name: "faultline", style: .sync),
        ],
        pattern: .ascending,
        threads: (usual: [1], tour: [1]),
        pages: (usual: 20_000, tour: 5_000),
        ratios: [(numerator: "faultline", denominator: "c-epoll", metrics: [.throughput])],
        unit: "pages/s")
}
