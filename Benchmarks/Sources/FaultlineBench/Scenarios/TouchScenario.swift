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

    /// What nobody can take less than.
    enum Least {
        /// The kernel's copying, in calls of so many pages: 1 where nobody knows what is touched next.
        case copying(pagesPerCall: Int)
        /// The store's delay: every thread waits for it.
        case delay
        /// The store's computing, divided among two processors.
        case computing
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
    var least = Least.copying(pagesPerCall: 1)
    /// Of whom the floor is not one, if there is somebody.
    var exception: String?
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
        let floors = try await floors(source, pageCount, counts.max() ?? 1, context, into: &report)
        for pin in pinnings(context) {
            for count in counts {
                try await run(
                    Case(pin: pin, threads: count, pages: pageCount, source: source, floor: floors(.latency)),
                    variants + (pin == .same ? [] : acrossCores), context, into: &report)
            }
        }
        report.addBars(name, [.throughput, .latency], floor: floors)
    }

    /// The floor of each metric.
    private func floors(
        _ source: Contents, _ pages: Int, _ threads: Int, _ context: Context, into report: inout Report
    ) async throws -> (Metric) -> Floor {
        let time: Double
        let atOnce: Int
        let meaning: String
        switch least {
        case .copying(let pagesPerCall):
            let floor = try await CopyFloor.measure(
                for: name, source, pages: pages, pagesPerCall: pagesPerCall,
                try Placement(pinnings(context)[0]), context, into: &report)
            return { metric in
                if metric == .throughput { return floor.throughput(but: exception) }
                return pagesPerCall == 1
                    ? floor.time() : .absent("most touches find a page that was read ahead for them")
            }
        case .delay:
            (time, atOnce) = (Double(DelayedStore.microseconds) * 1000, threads)
            meaning = "the \(DelayedStore.microseconds) µs of the store, for \(threads) threads at once"
        case .computing:
            (time, atOnce) = (Double(BusyStore.microseconds) * 1000, System.cpu(1) == nil ? 1 : 2)
            meaning = "the \(BusyStore.microseconds) µs that the store computes, on \(atOnce) processors"
        }
        return { .line($0 == .throughput ? Double(atOnce) * 1e9 / time : time, meaning) }
    }

    /// One number of threads at one placement.
    private struct Case {
        var pin: Pinning
        var threads: Int
        var pages: Int
        var source: Contents
        /// Of the time that a touch takes.
        var floor: Floor
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
                "\(name): latency percentiles"
                    + (takesThreads ? ", \(work.threads) thread\(work.threads == 1 ? "" : "s")" : "")
                    + (alsoCross ? ", pin \(work.pin.rawValue)" : ""),
                scenario: name,
                zip(variants, samples).map { ($0.name, $1.map(\.latency)) }, floor: work.floor))
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
