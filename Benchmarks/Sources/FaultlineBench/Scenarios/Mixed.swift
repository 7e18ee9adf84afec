/// Faults, an echo server on loopback and a 1 ms timer in one loop, with faults and without.
struct MixedScenario: Scenario {
    let name = "mixed"
    let summary = "faults, an echo server and a 1 ms timer in one loop"

    let variants: [any MixedVariant] = [CMixedVariant(), FaultlineMixedVariant()]

    func run(_ context: Context, into report: inout Report) async throws {
        let variants = self.variants.filter { context.wants($0.name) }
        let pageCount = context.pages(20_000, tour: 10_000)
        let counts = context.threads([4], tour: [4])
        let source = try Contents(
            pages: pageCount + (counts.max() ?? 1) * TouchRun.usualWarmUp, seed: 0xec40)
        // Every variant twice, with faults and without, all in the same rotation.
        let cases = variants.flatMap { variant in [(variant, false), (variant, true)] }
        for count in counts {
            let used = min(count, pageCount)
            let results = try await context.rounds.run(
                "\(name), \(used) threads", cases.map { "\($0.0.name)\($0.1 ? " with faults" : "")" }
            ) { index, round in
                let run = MixedRun(
                    source: source, pages: pageCount, placement: context.placement, threads: used,
                    seed: UInt64(round) &* 6_151 &+ 5)
                return try await run.measure(cases[index].0, withFaults: cases[index].1)
            }
            let parameters: [Parameter] = [
                .threads(count), .pages(pageCount), .pin(context.arguments.pin),
            ]
            for ((variant, withFaults), results) in zip(cases, results) {
                add(results, variant.name, withFaults, parameters, to: &report)
            }
            addRatios([.threads(count)], context, to: &report)
            addCharts(cases.map { ($0.0.name, $0.1) }, results, to: &report)
        }
    }

    private func add(
        _ results: [MixedRun.Result], _ variant: String, _ withFaults: Bool, _ parameters: [Parameter],
        to report: inout Report
    ) {
        let faults = Parameter.text("faults", withFaults ? "yes" : "no")
        func rows(
            _ subject: String, _ metric: Metric, _ unit: String?, _ values: [Double], p99: [Double] = []
        ) {
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant,
                    parameters: parameters + [.text("of", subject), faults],
                    metric: metric, unit: unit, values: values, p99: p99))
        }
        rows("echo", .latency, nil, results.map(\.echo.p50), p99: results.map(\.echo.p99))
        rows("echo", .throughput, "operations/s", results.map(\.echoesPerSecond))
        rows("timer", .latency, nil, results.map(\.lateness.p50), p99: results.map(\.lateness.p99))
        let samples = results.compactMap(\.faults)
        guard withFaults, !samples.isEmpty else { return }
        report.add(
            samples, scenario: name, variant: variant,
            parameters: parameters + [.text("of", "faults"), faults],
            unit: "faults/s")
    }

    private func addRatios(_ threads: [Parameter], _ context: Context, to report: inout Report) {
        let subjects: [(String, Bool, [Metric])] = [
            ("faults", true, [.throughput, .latency]), ("echo", true, [.latency, .throughput]),
            ("echo", false, [.latency, .throughput]), ("timer", true, [.latency]),
            ("timer", false, [.latency]),
        ]
        for (subject, withFaults, metrics) in subjects {
            report.addRatios(
                name, "faultline", over: "c-epoll", metrics,
                parameters: threads + [.text("of", subject), .text("faults", withFaults ? "yes" : "no")])
        }
        guard let ours = slowdown("faultline", threads, report),
            let theirs = slowdown("c-epoll", threads, report)
        else { return }
        report.ratios.append(
            RatioRow(
                scenario: name, numerator: "faultline", denominator: "c-epoll",
                parameters: threads + [
                    .text("of", "echo"), .text("faults", "yes/no"), .text("statistic", "p99"),
                ], metric: .latency, median: ours / theirs))
        guard context.arguments.pin == .same else { return }
        report.checks.append(
            Check(
                scenario: name, figure: "p99 of the echo with faults / without, faultline / c-epoll",
                value: ours / theirs, bound: .atMost(1.25)))
    }

    /// How many times longer the 99th percentile of the echo is with faults.
    private func slowdown(_ variant: String, _ threads: [Parameter], _ report: Report) -> Double? {
        let rows = ["yes", "no"].map {
            report.result(name, variant, .latency, threads + [.text("of", "echo"), .text("faults", $0)])?.p99
        }
        guard let with = rows[0], let without = rows[1], without > 0 else { return nil }
        return with / without
    }

    private func addCharts(_ cases: [(String, Bool)], _ results: [[MixedRun.Result]], to report: inout Report)
    {
        let names = cases.map { "\($0.0)\($0.1 ? " with faults" : "")" }
        let floor = Floor.drawn("c-epoll", "the same loop in plain C, and nobody faults")
        report.charts.append(
            .latencies(
                "mixed: echo round trip, percentiles", scenario: name,
                zip(names, results).map { ($0, $1.map(\.echo)) }, floor: floor))
        report.charts.append(
            .latencies(
                "mixed: lateness of the timer, percentiles", scenario: name,
                zip(names, results).map { ($0, $1.map(\.lateness)) }, floor: floor))
    }
}
