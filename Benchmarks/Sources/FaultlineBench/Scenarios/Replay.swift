import Faultline

/// A program's image restored in the order of a recorded run, while threads touch it in that order.
struct ReplayScenario: Scenario {
    let name = "replay"
    let summary =
        "an image whose pages are touched in an order that was recorded before: with the trace replayed, and without"

    private static let usualImages = [
        "/opt/swift/usr/bin/swift-frontend", "/usr/bin/swift-frontend", "/proc/self/exe",
    ]

    func run(_ context: Context, into report: inout Report) async throws {
        let path =
            context.arguments.file ?? Self.usualImages.first { System.isLargeFile($0) } ?? "/proc/self/exe"
        let source = try Contents(file: path)
        let pages = min(context.pages(20_000, tour: 5_000), source.pageCount)
        func run(round: Int) -> TouchRun {
            TouchRun(
                source: source, pages: pages, warmUp: 0, placement: context.placement, threads: 1,
                pattern: .clustered, seed: 77)
        }
        let recorder = ReplayVariant(name: "record", use: .record)
        _ = try await run(round: 0).measure(recorder)
        let trace = recorder.recorded.value
        guard trace.pageCount == pages else {
            throw RunError.failed("The trace has \(trace.pageCount) pages instead of \(pages).")
        }
        let variants: [any Variant] = [
            CVariant(name: "c-epoll", style: .epoll),
            FaultlineVariant(name: "faultline", style: .sync),
            ReplayVariant(name: "faultline-replay", use: .replay(trace)),
        ].filter { context.wants($0.name) }
        let samples = try await context.rounds.run(name, variants.map(\.name)) { variant, round in
            try await run(round: round).measure(variants[variant])
        }
        let parameters: [Parameter] = [
            .threads(1), .pages(pages), .pin(context.arguments.pin),
            .text("pattern", TouchPattern.clustered.rawValue),
        ]
        for (variant, samples) in zip(variants, samples) {
            report.results.append(
                ResultRow(
                    scenario: name, variant: variant.name, parameters: parameters, metric: .time,
                    values: samples.map { Double($0.elapsed) }))
            report.add(
                samples, scenario: name, variant: variant.name, parameters: parameters, unit: "pages/s")
        }
        let floor = try await CopyFloor.measure(
            for: name, source, pages: pages, pagesPerCall: 512, context.placement, context, into: &report)
        for denominator in ["faultline", "c-epoll"] {
            report.addRatios(name, "faultline-replay", over: denominator, [.time], parameters: [])
        }
        if context.arguments.pin == .same,
            let ratio = report.ratios.last(where: { $0.scenario == name && $0.denominator == "faultline" })
        {
            report.checks.append(
                Check(
                    scenario: name, figure: "time to all touched, with / without replay", value: ratio.median,
                    bound: .atMost(0.25)))
        }
        report.addBars(name, [.time], floor: { _ in floor.time(pages: pages) })
    }
}
