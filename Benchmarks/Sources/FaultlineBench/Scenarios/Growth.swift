import CBaseline

/// What a fault costs when there is much of something, beside what it costs when there is little: it should not depend on it.
struct GrowthScenario: Scenario {
    let name = "growth"
    let summary =
        "one thread, random pages: 1 GiB or 1 TiB, 1 or 10,000 regions, 1 or 1,000 parked threads or descriptors"

    private let small = "faultline-small"
    private let large = "faultline-large"
    var variantNames: [String] { ["c-small", "c-large", small, large] }

    /// Sizes that are compared, and how much more a fault may cost at the larger one.
    private struct Pair {
        var axis: GrowthSize.Axis
        var small: Int
        var large: Int
        /// Nil where it is the kernel's matter.
        var bound: Double?
    }

    private let pairs = [
        Pair(axis: .space, small: 1 << 30, large: 1 << 40, bound: 1.15),
        Pair(axis: .regions, small: 1, large: 10_000, bound: 1.15),
        Pair(axis: .parked, small: 1, large: 1000, bound: 1.5),
        Pair(axis: .queue, small: 1, large: 1000, bound: nil),
        Pair(axis: .descriptors, small: 1, large: 1000, bound: 1.15),
    ]

    func run(_ context: Context, into report: inout Report) async throws {
        let pages = context.pages(20_000, tour: 4000)
        let source = try Contents(pages: pages + TouchRun.usualWarmUp, seed: 0x6120)
        let placement = try Placement(context.arguments.pin)
        let floor = try await CopyFloor.measure(
            for: name, source, pages: pages, pagesPerCall: 1, placement, context, into: &report)
        for pair in pairs {
            if let lack = lackOfDescriptors(pair) {
                guard context.isTour else { throw RunError.failed(lack) }
                context.progress.note("\(name): \(lack) Left out.")
                continue
            }
            try await measure(pair, source, pages, placement, context, into: &report)
            report.addBars(
                name, [.latency], of: [.text("axis", pair.axis.rawValue)], title: ", \(pair.axis.rawValue)",
                floor: { _ in floor.time() })
        }
    }

    private func measure(
        _ pair: Pair, _ source: Contents, _ pages: Int, _ placement: Placement, _ context: Context,
        into report: inout Report
    ) async throws {
        let sizes = [pair.small, pair.large, pair.small, pair.large]
        let all: [any Variant] = [
            CGrowthVariant(name: "c-small", size: GrowthSize(pair.axis, pair.small)),
            CGrowthVariant(name: "c-large", size: GrowthSize(pair.axis, pair.large)),
            FaultlineGrowthVariant(name: small, size: GrowthSize(pair.axis, pair.small)),
            FaultlineGrowthVariant(name: large, size: GrowthSize(pair.axis, pair.large)),
        ]
        let variants = zip(all, sizes).filter { context.wants($0.0.name) }
        let samples = try await context.rounds.run(
            "\(name), \(pair.axis.rawValue)", variants.map(\.0.name)
        ) { variant, round in
            let run = TouchRun(
                source: source, pages: pages, placement: placement, threads: 1, pattern: .shuffled,
                seed: UInt64(round) &* 7919 &+ 3)
            return try await run.measure(variants[variant].0)
        }
        for ((variant, size), samples) in zip(variants, samples) {
            report.add(
                samples, scenario: name, variant: variant.name,
                parameters: [
                    .text("axis", pair.axis.rawValue), .number("size", size), .pages(pages),
                    .pin(context.arguments.pin),
                ],
                unit: "faults/s")
        }
        let telling = [Parameter.text("axis", pair.axis.rawValue)]
        report.addRatios(name, large, over: small, [.latency], parameters: telling)
        if let bound = pair.bound, let ratio = report.ratios.last, ratio.scenario == name,
            ratio.parameters == telling
        {
            report.checks.append(
                Check(
                    scenario: name,
                    figure: "\(pair.axis.rawValue) \(pair.large) / \(pair.small), latency",
                    value: ratio.median, bound: .atMost(bound)))
        }
        report.addRatios(name, "c-large", over: "c-small", [.latency], parameters: telling)
        report.addRatios(name, small, over: "c-small", [.latency], parameters: telling)
        report.addRatios(name, large, over: "c-large", [.latency], parameters: telling)
    }

    /// Raises the limit where many are needed; a sentence where it cannot be raised far enough.
    private func lackOfDescriptors(_ pair: Pair) -> String? {
        guard pair.axis == .descriptors else { return nil }
        let needed = UInt64(pair.large) + 100
        let limit = bench_raise_descriptor_limit()
        guard limit < needed else { return nil }
        return "\(needed) descriptors are needed, and \(limit) are allowed: raise the limit (ulimit -Hn)."
    }
}
