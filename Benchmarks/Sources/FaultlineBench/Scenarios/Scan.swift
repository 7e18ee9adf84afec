extension TouchScenario {
    /// One thread from the first page to the last: what reading ahead is worth.
    static let scan = TouchScenario(
        name: "scan",
        summary: "one thread, ascending pages: throughput of a sequential reader",
        variants: [
            CVariant(name: "c-epoll", style: .epoll),
            CVariant(name: "c-floor", style: .floor),
            FaultlineVariant(name: "faultline-none", style: .sync),
            FaultlineVariant(name: "faultline", style: .ahead),
            FaultlineVariant(name: "faultline-huge", style: .huge),
            FaultlineVariant(name: "faultline-continue", style: .existing),
        ],
        pattern: .ascending,
        threads: (usual: [1], tour: [1]),
        pages: (usual: 20_000, tour: 5_000),
        ratios: [
            (numerator: "faultline-none", denominator: "c-epoll", metrics: [.throughput]),
            (numerator: "faultline", denominator: "c-epoll", metrics: [.throughput]),
            (numerator: "faultline-huge", denominator: "c-epoll", metrics: [.throughput]),
            (numerator: "faultline-continue", denominator: "c-epoll", metrics: [.throughput]),
            (numerator: "c-floor", denominator: "faultline", metrics: [.throughput]),
        ],
        goals: [
            Goal(figure: .ratio("faultline", over: "c-epoll", .throughput), bound: .atLeast(7)),
            Goal(figure: .ratio("faultline-huge", over: "c-epoll", .throughput), bound: .atLeast(7)),
            // Nanoseconds a page over those of the floor are pages a second of the floor over ours.
            Goal(figure: .ratio("c-floor", over: "faultline", .throughput), bound: .atMost(1.25)),
            Goal(figure: .ratio("faultline-continue", over: "c-epoll", .throughput), bound: .atLeast(15)),
        ],
        least: .copying(pagesPerCall: 512),
        exception: "faultline-huge moves huge pages, and faultline-continue maps pages that exist",
        unit: "pages/s")

    /// Several threads that scan at once, page by page in turn.
    static let streams = TouchScenario(
        name: "streams",
        summary: "4 and 16 threads that scan one region, a page each in turn",
        variants: [
            CVariant(name: "c-merged", style: .merged),
            CVariant(name: "c-ahead16", style: .ahead),
            FaultlineVariant(name: "faultline", style: .ahead),
        ],
        pattern: .interleaved,
        threads: (usual: [4, 16], tour: [16]),
        takesThreads: true,
        pages: (usual: 32_768, tour: 8_192),
        ratios: [
            (numerator: "faultline", denominator: "c-ahead16", metrics: [.throughput]),
            (numerator: "faultline", denominator: "c-merged", metrics: [.throughput]),
        ],
        goals: [Goal(figure: .ratio("faultline", over: "c-ahead16", .throughput), bound: .atLeast(1.2))],
        least: .copying(pagesPerCall: 512),
        unit: "pages/s")

    /// No locality at all: what read-ahead costs where it is of no use.
    static let random = TouchScenario(
        name: "random",
        summary: "one thread, pages in random order: what read-ahead costs where there is nothing to learn",
        variants: [
            CVariant(name: "c-epoll", style: .epoll),
            FaultlineVariant(name: "faultline-none", style: .sync),
            FaultlineVariant(name: "faultline-ahead", style: .ahead),
        ],
        pattern: .shuffled,
        threads: (usual: [1], tour: [1]),
        pages: (usual: 20_000, tour: 5_000),
        ratios: [
            (numerator: "faultline-ahead", denominator: "faultline-none", metrics: [.throughput, .latency]),
            (numerator: "faultline-none", denominator: "c-epoll", metrics: [.throughput]),
        ],
        goals: [
            Goal(
                figure: .ratio("faultline-ahead", over: "faultline-none", .throughput), bound: .atLeast(0.97))
        ],
        unit: "pages/s")
}
