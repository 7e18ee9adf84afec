/// A scenario in which threads touch every page of a region once: what varies is who serves them, the order, and how
/// many threads there are.
struct TouchScenario: Scenario {
    /// A figure that is held against a bound.
    struct Goal {
        enum Figure {
            case ratio(String, over: String, Metric)
            case value(String, Metric)
        }

        var figure: Figure
        var bound: Check.Bound
        /// Only for this number of threads.
        var threads: Int?
        /// Only at this placement.
        var pin = Pinning.same
    }

    var name: String
    var summary: String
    var variants: [any Variant]
    /// Variants that make no sense where faulting and serving threads share a core.
    var acrossCores: [any Variant] = []
    var pattern: TouchPattern
    /// Numbers of threads, usually and in the tour.
    var threads: (usual: [Int], tour: [Int])
    /// Whether `--threads` applies.
    var takesThreads = false
    /// Pages, usually and in the tour.
    var pages: (usual: Int, tour: Int)
    /// What is divided by what, and in which metrics. Those whose variants are absent are left out.
    var ratios: [(numerator: String, denominator: String, metrics: [Metric])]
    var goals: [Goal] = []
    var unit = "faults/s"
    /// The placement where none is asked for; nil for that of most.
    var usualPin: Pinning?
    /// Whether everything is measured across two cores as well, where one core is asked for and there are two.
    var alsoCross = false

    func run(_ context: Context, into report: inout Report) async throws {
        let variants = self.variants.filter { context.wants($0.name) }
        let acrossCores = self.acrossCores.filter { context.wants($0.name) }
        let pageCount = context.pages(pages.usual, tour: pages.tour)
        let counts = takesThreads ? context.threads(threads.usual, tour: threads.tour) : threads.usual
        let source = try Contents(
            pages: pageCount + (counts.max() ?? 1) * TouchRun.usualWarmUp, seed: 0x5eed)
        for pin in pinnings(context) {
            for count in counts {
                try await run(
                    Case(pin: pin, threads: count, pages: pageCount, source: source),
                    variants + (pin == .same ? [] : acrossCores), context, into: &report)
            }
        }
        report.addBars(name, [.throughput, .latency])
    }

    /// One number of threads at one placement.
    private struct Case {
        var pin: Pinning
        var threads: Int
        var pages: Int
        var source: Contents
    }

    private func pinnings(_ context: Context) -> [Pinning] {
        let asked = context.arguments.askedPin ?? usualPin ?? context.arguments.pin
        return alsoCross && asked == .same && System.cpu(1) != nil ? [.same, .cross] : [asked]
    }

    private func run(
        _ work: Case, _ variants: [any Variant], _ context: Context, into report: inout Report
    ) async throws {
        let used = min(work.threads, work.pages)
        let placement = try Placement(work.pin)
        let samples = try await context.rounds.run(
            "\(name), \(used) threads", variants.map(\.name)
        ) { variant, round in
            let run = TouchRun(
                source: work.source, pages: work.pages, placement: placement, threads: used,
                pattern: pattern, seed: UInt64(round) &* 7919 &+ 1)
            return try await run.measure(variants[variant])
        }
        let parameters: [Parameter] = [
            .threads(work.threads), .pages(work.pages), .pin(work.pin), .text("pattern", pattern.rawValue),
        ]
        for (variant, samples) in zip(variants, samples) {
            report.add(samples, scenario: name, variant: variant.name, parameters: parameters, unit: unit)
        }
        let telling: [Parameter] =
            (takesThreads ? [.threads(work.threads)] : []) + (alsoCross ? [.pin(work.pin)] : [])
        for ratio in ratios {
            report.addRatios(
                name, ratio.numerator, over: ratio.denominator, ratio.metrics, parameters: telling)
        }
        check(work, telling, in: &report)
        report.charts.append(
            .latencies(
                "\(name): latency percentiles" + (takesThreads ? ", \(work.threads) threads" : "")
                    + (alsoCross ? ", pin \(work.pin.rawValue)" : ""),
                scenario: name,
                zip(variants, samples).map { ($0.name, $1.map(\.latency)) }))
    }

    private func check(_ work: Case, _ telling: [Parameter], in report: inout Report) {
        let parameters = [Parameter.threads(work.threads), .pin(work.pin)]
        for goal in goals
        where goal.pin == work.pin && (goal.threads == nil || goal.threads == work.threads) {
            switch goal.figure {
            case .ratio(let numerator, let denominator, let metric):
                let ratio = report.ratios.last {
                    $0.scenario == name && $0.numerator == numerator && $0.denominator == denominator
                        && $0.metric == metric && $0.parameters == telling
                }
                guard let ratio else { continue }
                report.checks.append(
                    Check(
                        scenario: name, figure: "\(numerator) / \(denominator) \(metric.title)",
                        value: ratio.median,
                        bound: goal.bound))
            case .value(let variant, let metric):
                guard let row = report.result(name, variant, metric, parameters) else { continue }
                report.checks.append(
                    Check(
                        scenario: name, figure: "\(variant) \(metric.title)", value: row.median,
                        bound: goal.bound))
            }
        }
    }
}
