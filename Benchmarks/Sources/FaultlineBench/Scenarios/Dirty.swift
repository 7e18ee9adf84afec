import Faultline
import Userfault

/// Which pages were written: what it costs the writes that it is noted, and how long it takes to find out.
struct DirtyScenario: Scenario {
    let name = "dirty"
    let summary = "one word written to each page of 64 MiB, or of an eighth, and the written pages found"

    let variants: [any DirtyVariant] = [
        CDirtyVariant(name: "none", style: .none),
        CDirtyVariant(name: "c-mprotect", style: .readOnly),
        CDirtyVariant(name: "c-messages", style: .messages),
        CDirtyVariant(name: "c-async", style: .asynchronous),
        FaultlineDirtyVariant(name: "faultline-messages", engine: .messages),
        FaultlineDirtyVariant(name: "faultline-async", engine: .asynchronous),
    ]

    var variantNames: [String] { variants.map(\.name) }

    private let steps = ["write", "collect"]

    func run(_ context: Context, into report: inout Report) async throws {
        let available = try Userfaultfd.probe().availableFeatures
        let variants = self.variants.filter { variant in
            guard context.wants(variant.name) else { return false }
            if available.isSuperset(of: variant.features) { return true }
            context.progress.note(
                "\(name): \(variant.name) left out: this kernel lacks \(variant.features.subtracting(available))"
            )
            return false
        }
        let pages = context.pages(16_384, tour: 4096)
        let seed: UInt64 = 0xd1e7
        let source = try Contents(pages: pages, seed: seed)
        let samples = try await context.rounds.run(name, variants.map(\.name)) { variant, round in
            try await DirtyRun(source: source, seed: seed, placement: context.placement, round: round)
                .measure(variants[variant])
        }
        for extent in DirtyRun.Extent.allCases {
            for (variant, samples) in zip(variants, samples) {
                let times = samples.compactMap { $0[extent] }
                add("write", extent, times.map(\.write), variant.name, pages, context, to: &report)
                add("collect", extent, times.compactMap(\.collect), variant.name, pages, context, to: &report)
            }
            for step in steps {
                let parameters: [Parameter] = [.text("of", step), .text("written", extent.rawValue)]
                for style in ["messages", "async"] {
                    report.addRatios(
                        name, "faultline-\(style)", over: "c-\(style)", [.time], parameters: parameters)
                }
                report.addRatios(name, "c-async", over: "c-messages", [.time], parameters: parameters)
                report.addBars(
                    name, [.time], of: parameters,
                    title: " to \(step), \(extent.rawValue) of the pages written",
                    floor: { _ in
                        step == "write"
                            ? .drawn("none", "nobody notes what is written")
                            : .drawn("c-async", "one PAGEMAP_SCAN, which also protects the pages again")
                    })
            }
        }
    }

    private func add(
        _ step: String, _ extent: DirtyRun.Extent, _ times: [UInt64], _ variant: String, _ pages: Int,
        _ context: Context, to report: inout Report
    ) {
        guard !times.isEmpty else { return }
        report.results.append(
            ResultRow(
                scenario: name, variant: variant,
                parameters: [
                    .text("of", step), .text("written", extent.rawValue), .pages(pages),
                    .pin(context.arguments.pin),
                ], metric: .time, values: times.map { Double($0) }))
    }
}
