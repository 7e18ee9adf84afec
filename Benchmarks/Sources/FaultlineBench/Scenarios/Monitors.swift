/// How many virtual machine monitors one reactor can serve: the same faults from one, from ten, and from a hundred.
struct MonitorsScenario: Scenario {
    let name = "monitors"
    let summary =
        "the example lazy-restore serves 1, 10 and 100 monitors of 256 MiB: faults per second, and who waits"

    let variantNames = ["faultline"]

    /// From here on bounds are checked: fewer faults of each are over too soon.
    private let fullSize = 50_000
    private let variant = "faultline"

    func run(_ context: Context, into report: inout Report) async throws {
        guard let programs = try context.examples(["lazy-restore", "monitor-stand-in"], for: name) else {
            return
        }
        let counts = context.threads([1, 10, 100], tour: [1, 10])
        let pages = context.pages(60_000, tour: 10_000)
        let mebibytes = context.isTour ? 64 : 256
        context.progress.show("\(name): an image of \(mebibytes) MiB is made")
        let run = try MonitorsRun(programs, mebibytes: mebibytes)
        // A page of each is there before; one monitor touches no more than it has.
        let sizes = counts.map { (monitors: $0, pages: min(pages, (run.pagesOfEach - 1) * $0)) }
        let results = try await context.rounds.run(name, sizes.map { "\($0.monitors) monitors" }) {
            index, round in
            try run.measure(
                monitors: sizes[index].monitors, pages: sizes[index].pages, seed: round * 1000 + 1)
        }
        try run.end()
        for (size, results) in zip(sizes, results) { add(results, size.monitors, size.pages, &report) }
        compare(counts, pages, &report)
        report.charts.append(
            .completions(
                "\(name): monitors that had touched all their pages", scenario: name,
                zip(counts, results).map { ("\($0) monitors", $1.map(\.ends)) }))
        report.addBars(name, [.throughput, .latency])
    }

    private func add(_ results: [MonitorsRun.Result], _ count: Int, _ pages: Int, _ report: inout Report) {
        let parameters: [Parameter] = [.number("monitors", count), .pages(pages), .pin(.none)]
        func row(_ metric: Metric, p99: [Double] = [], _ value: (MonitorsRun.Result) -> Double) {
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant, parameters: parameters, metric: metric,
                    values: results.map(value), p99: p99))
        }
        row(.latency, p99: results.map { Statistics.median($0.p99s) }) { Statistics.median($0.medians) }
        row(.throughput) { Double($0.pages) / (Double($0.elapsed) / 1e9) }
        row(.slowestToMedian, \.unfairness)
        row(.contextSwitchesPerFault) { Double($0.contextSwitches) / Double($0.pages) }
        row(.messagesPerFault) { Double($0.messages) / Double($0.pages) }
        row(.bytesPerFault) { Double($0.mebibytes << 20) / Double($0.pages) }
    }

    private func compare(_ counts: [Int], _ pages: Int, _ report: inout Report) {
        guard pages >= fullSize else { return }
        func median(_ count: Int, _ metric: Metric) -> Double? {
            report.result(name, variant, metric, [.number("monitors", count)])?.median
        }
        for count in counts where count >= 100 {
            if let many = median(count, .throughput), let one = median(1, .throughput), one > 0 {
                report.checks.append(
                    Check(
                        scenario: name, figure: "faults per second, \(count) monitors / 1", value: many / one,
                        bound: .atLeast(1)))
            }
            if let unfairness = median(count, .slowestToMedian) {
                report.checks.append(
                    Check(
                        scenario: name, figure: "slowest / median of \(count) monitors", value: unfairness,
                        bound: .atMost(1.5)))
            }
        }
    }
}
