import Userfault

/// A region over a file, four times larger than what may be in memory of it: what an access costs when for every page that
/// comes another one has to go.
struct PagingScenario: Scenario {
    let name = "paging"
    let summary = "a region over a file, four times larger than its budget of memory: time per access"

    let variants: [any PagingVariant] = [MappedPaging(), FaultlinePaging()]
    /// A fault of `roundtrip`: what there is no doing without.
    private let baseline = CVariant(name: "c-epoll", style: .epoll)

    var variantNames: [String] { [baseline.name] + variants.map(\.name) }

    /// The fewest pages of a run: a budget has at least 64.
    private let fewestPages = 256

    private struct Case {
        /// nil for the baseline.
        var variant: (any PagingVariant)?
        var threads = 1
        var pattern = PagingRun.Pattern.sequential

        var title: String {
            variant.map { "\($0.name), \(pattern.rawValue), \(threads) threads" } ?? "c-epoll"
        }
    }

    private enum Outcome {
        case baseline(Sample)
        case paging(PagingRun.Result)
    }

    func run(_ context: Context, into report: inout Report) async throws {
        let available = try Userfaultfd.probe().availableFeatures
        let variants = self.variants.filter {
            context.wants($0.name) && available.isSuperset(of: $0.features)
        }
        let pages = max(context.pages(16_384, tour: 4096), fewestPages)
        var cases: [Case] = context.wants(baseline.name) ? [Case()] : []
        for threads in context.threads([1, 2, 8], tour: [1]) {
            for pattern in PagingRun.Pattern.allCases {
                cases += variants.map { Case(variant: $0, threads: threads, pattern: pattern) }
            }
        }
        let source = try Contents(pages: pages + TouchRun.usualWarmUp, seed: 0x5eed)
        let outcomes = try await context.rounds.run(name, cases.map(\.title)) { index, round in
            let seed = UInt64(round) &* 104_729 &+ 3
            guard let variant = cases[index].variant else {
                return Outcome.baseline(
                    try await TouchRun(
                        source: source, pages: pages, placement: context.placement, threads: 1,
                        pattern: .ascending, seed: seed
                    ).measure(baseline))
            }
            return .paging(
                try await PagingRun(
                    pages: pages, threads: cases[index].threads, pattern: cases[index].pattern, seed: seed,
                    placement: context.placement
                ).measure(variant))
        }
        for (work, outcomes) in zip(cases, outcomes) {
            add(work, outcomes, pages, context, to: &report)
        }
        for work in cases where work.variant != nil { compare(work, context, &report) }
        for pattern in PagingRun.Pattern.allCases {
            report.addBars(
                name, [.timePerAccess], of: [.text("pattern", pattern.rawValue)],
                title: ", \(pattern.rawValue)", baseline: baseline.name,
                floor: { _ in .drawn("mmap", "the kernel's own paging of the same file") })
        }
    }

    private func add(
        _ work: Case, _ outcomes: [Outcome], _ pages: Int, _ context: Context, to report: inout Report
    ) {
        var parameters: [Parameter] = [
            .threads(work.threads), .pages(pages), .pin(context.arguments.pin),
        ]
        parameters.append(
            .text("pattern", work.variant == nil ? TouchPattern.ascending.rawValue : work.pattern.rawValue))
        let variant = work.variant?.name ?? baseline.name
        func row(_ metric: Metric, _ values: [Double], of: String? = nil, p99: [Double] = []) {
            guard !values.isEmpty else { return }
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant,
                    parameters: parameters + (of.map { [.text("of", $0)] } ?? []), metric: metric,
                    values: values, p99: p99))
        }
        var results: [PagingRun.Result] = []
        var samples: [Sample] = []
        for outcome in outcomes {
            switch outcome {
            case .paging(let result): results.append(result)
            case .baseline(let sample): samples.append(sample)
            }
        }
        row(
            .timePerAccess, samples.map { Double($0.elapsed) / Double(pages) },
            p99: samples.map(\.latency.p99))
        row(
            .timePerAccess, results.map { Double($0.accesses.elapsed) / Double(pages) },
            p99: results.map(\.accesses.latency.p99))
        guard variant == "faultline" else { return }
        func perAccess(_ metric: Metric, _ count: (PagingCounters) -> Int) {
            row(metric, results.map { Double(count($0.counters)) / Double(pages) })
        }
        perAccess(.faultsPerAccess, \.faults)
        perAccess(.systemCallsPerAccess, \.systemCalls)
        perAccess(.evictionsPerAccess, \.evictions)
        perAccess(.writesPerAccess, \.writes)
        if work.pattern.access != .read { row(.time, results.map { Double($0.flushTime) }, of: "flush") }
    }

    private func compare(_ work: Case, _ context: Context, _ report: inout Report) {
        let parameters: [Parameter] = [.threads(work.threads), .text("pattern", work.pattern.rawValue)]
        guard let variant = work.variant?.name,
            let above = report.result(name, variant, .timePerAccess, parameters),
            let below = report.result(name, baseline.name, .timePerAccess, []), below.median > 0
        else { return }
        let ratio = above.median / below.median
        report.ratios.append(
            RatioRow(
                scenario: name, numerator: variant, denominator: baseline.name, parameters: parameters,
                metric: .timePerAccess, median: ratio))
        guard variant == "faultline", work.threads == 1, work.pattern == .shuffled,
            context.arguments.pin == .same
        else { return }
        report.checks.append(
            Check(
                scenario: name, figure: "shuffled reads on one thread, faultline / c-epoll time per access",
                value: ratio, bound: .atMost(1.7)))
    }
}
