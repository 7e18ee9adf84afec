import Userfault

/// An image of memory that is being written to: how long it takes, and how long the writers have to wait.
struct SnapshotScenario: Scenario {
    let name = "snapshot"
    let summary = "an image of 1 GiB of memory while threads write to it, the state of one instant"

    let variants: [any SnapshotVariant] = [
        NoSnapshot(), ForkSnapshot(), FaultlineSnapshotVariant(),
    ]

    var variantNames: [String] { variants.map(\.name) }

    /// Of what the program is compared with.
    private let baseline = "c-fork"
    private let ours = "faultline"

    func run(_ context: Context, into report: inout Report) async throws {
        let available = try Userfaultfd.probe().availableFeatures
        let variants = self.variants.filter {
            context.wants($0.name) && available.isSuperset(of: $0.features)
        }
        // The image is taken beside the writers: on their core it could only take time away from them.
        let pin = context.arguments.askedPin ?? (System.cpu(1) == nil ? .none : .cross)
        let placement = try Placement(pin)
        for threads in context.threads([1], tour: [1]) {
            let pages = max(
                context.pages(262_144, tour: 16_384), SnapshotMemory.fewestPages(threads: threads))
            let results = try await context.rounds.run("\(name), \(threads) writers", variants.map(\.name)) {
                variant, round in
                let run = SnapshotRun(
                    pages: pages, threads: threads, seed: UInt64(round) &* 15_485_863 &+ 11,
                    placement: placement)
                return try await run.measure(variants[variant])
            }
            let parameters: [Parameter] = [.threads(threads), .pages(pages), .pin(pin)]
            for (variant, results) in zip(variants, results) {
                add(results, variant.name, parameters, to: &report)
            }
            compare(threads, &report)
            report.charts.append(
                .latencies(
                    "\(name): pauses of writers, percentiles, threads: \(threads)", scenario: name,
                    zip(variants, results).map { ($0.name, $1.map(\.pauses.distribution)) },
                    floor: .drawn("none", "no image is made")))
        }
        for part in Part.allCases {
            report.addBars(
                name, [.time], of: [.text("of", part.rawValue)], title: " of the \(part.rawValue)",
                floor: { _ in
                    part == .image
                        ? .drawn("c-fork", "write(2) of memory that is not watched, in a process of its own")
                        : .drawn("none", "no image is made")
                })
        }
    }

    /// What is timed.
    private enum Part: String, CaseIterable {
        case longestPause = "longest pause"
        case rarePause = "p99.9 pause"
        case image
    }

    private func add(
        _ results: [SnapshotRun.Result], _ variant: String, _ parameters: [Parameter], to report: inout Report
    ) {
        func row(_ part: Part, _ value: (SnapshotRun.Result) -> Double) {
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant, parameters: parameters + [.text("of", part.rawValue)],
                    metric: .time, values: results.map(value)))
        }
        row(.longestPause) { $0.pauses.longest }
        row(.rarePause) { $0.pauses.quantile(0.999) }
        if variant != "none" { row(.image) { Double($0.time) } }
        report.results.append(
            ResultRow(
                scenario: name, variant: variant, parameters: parameters + [.text("of", "writes")],
                metric: .throughput, unit: "operations/s",
                values: results.map { Double($0.pauses.count) / (Double($0.time) / 1e9) }))
    }

    private func compare(_ threads: Int, _ report: inout Report) {
        for part in Part.allCases {
            let parameters: [Parameter] = [.threads(threads), .text("of", part.rawValue)]
            report.addRatios(name, ours, over: baseline, [.time], parameters: parameters)
            guard part == .longestPause, let ratio = report.ratios.last, ratio.scenario == name else {
                continue
            }
            report.checks.append(
                Check(
                    scenario: name, figure: "longest pause (threads \(threads)), \(ours) / \(baseline)",
                    value: ratio.median, bound: .atMost(1)))
        }
        report.addRatios(
            name, ours, over: baseline, [.throughput], parameters: [.threads(threads), .text("of", "writes")])
    }
}
