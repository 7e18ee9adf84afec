/// How many virtual machine monitors one reactor can serve: the same faults from one, from ten, and from a hundred.
struct MonitorsScenario: Scenario {
    let name = "monitors"
    let summary =
        "the example lazy-restore serves 1, 10 and 100 monitors of 256 MiB: faults per second, and who waits"

    let variantNames = ["c-epoll", "faultline"]

    /// From here on bounds are checked: fewer faults of each are over too soon.
    private let fullSize = 50_000
    private let variant = "faultline"
    private let baseline = CVariant(name: "c-epoll", style: .epoll)

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
        let source = try Contents(pages: pages + (counts.max() ?? 1) * TouchRun.usualWarmUp, seed: 0x5eed)
        let floor = try await CopyFloor.measure(
            for: name, source, pages: pages, pagesPerCall: 1, context.placement, context, into: &report)
        if context.wants(baseline.name) {
            for count in counts { try await addBaseline(source, count, pages, context, &report) }
        }
        for (size, results) in zip(sizes, results) { add(results, size.monitors, size.pages, &report) }
        compare(counts, pages, &report)
        report.charts.append(
            .completions(
                "\(name): monitors that had touched all their pages", scenario: name,
                zip(counts, results).map { ("\($0) monitors", $1.map(\.ends)) },
                floor: floor.time(pages: pages)))
        report.addBars(name, [.throughput, .latency]) { metric in
            metric == .throughput
                ? floor.throughput(but: "read-ahead copies several at a time") : floor.time()
        }
    }

    /// As many threads of this process, served by the loop in C: without other processes, and without a file to read from.
    private func addBaseline(
        _ source: Contents, _ count: Int, _ pages: Int, _ context: Context, _ report: inout Report
    ) async throws {
        let samples = try await context.rounds.run("\(name), \(count) threads", [baseline.name]) { _, round in
            try await TouchRun(
                source: source, pages: pages, placement: try Placement(.none), threads: count,
                pattern: .shuffled, seed: UInt64(round) &+ 1
            ).measure(baseline)
        }.joined()
        let parameters: [Parameter] = [.number("monitors", count), .pages(pages), .pin(.none)]
        report.results.append(
            ResultRow(
                scenario: name, variant: baseline.name, parameters: parameters, metric: .latency,
                values: samples.map(\.latency.p50), p99: samples.map(\.latency.p99)))
        report.results.append(
            ResultRow(
                scenario: name, variant: baseline.name, parameters: parameters, metric: .throughput,
                values: samples.map { Double(pages) / (Double($0.elapsed) / 1e9) }))
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
