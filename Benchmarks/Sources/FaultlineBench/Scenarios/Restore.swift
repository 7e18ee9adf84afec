/// A file restored into memory page by page, while threads read it in random order.
struct RestoreScenario: Scenario {
    let name = "restore"
    let summary = "a file restored lazily while 8 threads read it in random order, compared byte for byte"

    let variants: [any Variant] = [
        CVariant(name: "c-epoll", style: .epoll),
        CVariant(name: "c-pread", style: .positionedRead),
        FaultlineVariant(name: "faultline", style: .mappedFile),
        FaultlineVariant(name: "faultline-pread", style: .positionedReads),
    ]
    private let milestones: [(name: String, fraction: Double)] = [("first", 0), ("10%", 0.1), ("all", 1)]

    func run(_ context: Context, into report: inout Report) async throws {
        let variants = self.variants.filter { context.wants($0.name) }
        let source = try Contents(file: context.arguments.file ?? "/proc/self/exe")
        let floor = try await CopyFloor.measure(
            for: name, source, pages: source.pageCount, pagesPerCall: 512, context.placement, context,
            into: &report)
        for count in context.threads([8], tour: [8]) {
            let used = min(count, source.pageCount)
            let samples = try await context.rounds.run(
                "\(name), \(used) threads", variants.map(\.name)
            ) { variant, round in
                let run = TouchRun(
                    source: source, pages: source.pageCount, warmUp: 0, placement: context.placement,
                    threads: used, pattern: .shuffled,
                    seed: UInt64(round) &* 104_729 &+ 3, keepsCompletions: true)
                return try await run.measure(variants[variant])
            }
            let parameters: [Parameter] = [
                .threads(count), .pages(source.pageCount), .pin(context.arguments.pin),
                .text("pattern", TouchPattern.shuffled.rawValue),
            ]
            for (variant, samples) in zip(variants, samples) {
                addTimes(samples, variant.name, parameters, to: &report)
                report.add(
                    samples, scenario: name, variant: variant.name, parameters: parameters, unit: "pages/s")
            }
            for pair in [("faultline", "c-epoll"), ("faultline-pread", "c-pread")] {
                for milestone in milestones {
                    report.addRatios(
                        name, pair.0, over: pair.1, [.time],
                        parameters: [.threads(count), .text("until", milestone.name)])
                }
                report.addRatios(name, pair.0, over: pair.1, [.throughput], parameters: [.threads(count)])
            }
            report.charts.append(
                .progress(
                    "restore: part of the file there, \(count) threads", scenario: name,
                    zip(variants, samples).map { ($0.name, RestoreScenario.middle($1)) },
                    floor: floor.time(pages: source.pageCount)))
        }
        for milestone in milestones {
            let pages = max(Int(milestone.fraction * Double(source.pageCount)), 1)
            report.addBars(
                name, [.time], of: [.text("until", milestone.name)], title: " until \(milestone.name)",
                floor: { _ in floor.time(pages: pages) })
        }
        report.addBars(name, [.throughput], floor: { _ in floor.throughput() })
    }

    private func addTimes(
        _ samples: [Sample], _ variant: String, _ parameters: [Parameter], to report: inout Report
    ) {
        for milestone in milestones {
            let times = samples.map { sample in
                let rank = Int((milestone.fraction * Double(sample.completions.count)).rounded(.up))
                return Double(sample.completions[max(rank, 1) - 1])
            }
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant,
                    parameters: parameters + [.text("until", milestone.name)],
                    metric: .time, values: times))
        }
    }

    /// The completions of the run whose time is the median.
    private static func middle(_ samples: [Sample]) -> [UInt64] {
        let sorted = samples.sorted { $0.elapsed < $1.elapsed }
        return sorted.isEmpty ? [] : sorted[sorted.count / 2].completions
    }
}
