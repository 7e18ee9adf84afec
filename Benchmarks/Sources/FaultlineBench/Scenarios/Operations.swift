import EventReactor
import Userfault

/// The kernel's operations one by one, without faults: what the typed calls cost beside the ioctls themselves.
struct OperationsScenario: Scenario {
    let name = "ops"
    let summary = "ns per page of each ioctl at 1, 16 and 512 pages a call, typed and in C"

    private let sizes = [1, 16, 512]
    /// The size at which the ratio is held against a bound, and the bound.
    private let goal = (pagesPerCall: 16, bound: Check.Bound.atMost(1.05))

    var variantNames: [String] { OperationVariant.allCases.map(\.rawValue) }

    func run(_ context: Context, into report: inout Report) async throws {
        let variants = OperationVariant.allCases.filter { context.wants($0.rawValue) }
        let largest = sizes.max() ?? 1
        let pages = (context.pages(8192, tour: 8192) + largest - 1) / largest * largest
        // A pass takes some milliseconds: many make the median steady.
        let rounds = Rounds(
            count: context.arguments.runs ?? (context.isTour ? 5 : 21), progress: context.progress)
        let available = try Userfaultfd.probe().availableFeatures
        let worker = try WorkerPool(threads: 1)
        await worker.run { System.pinThread(to: context.placement.serving) }
        for operation in PageOperation.allCases {
            guard available.isSuperset(of: operation.features) else {
                context.progress.note("\(name): this kernel has no \(operation.rawValue)")
                continue
            }
            let arena = try OperationArena(operation, pages: pages)
            for size in sizes {
                let times = try await rounds.run(
                    "\(name), \(operation.rawValue), pages a call: \(size)", variants.map(\.rawValue)
                ) { variant, _ in
                    try await worker.run {
                        try variants[variant].measure(arena, pagesPerCall: size)
                    }
                }
                let parameters: [Parameter] = [
                    .text("operation", operation.rawValue), .number("per_call", size), .pages(pages),
                    .pin(context.arguments.pin),
                ]
                for (variant, times) in zip(variants, times) {
                    report.results.append(
                        ResultRow(
                            scenario: name, variant: variant.rawValue, parameters: parameters,
                            metric: .timePerPage, values: times.map { Double($0) / Double(pages) }))
                }
                compare(operation, size, context, in: &report)
            }
        }
        for size in sizes {
            report.addBars(
                name, [.timePerPage], of: [.number("per_call", size)],
                title: ", \(size == 1 ? "1 page" : "\(size) pages") a call",
                floor: { _ in .drawn("c-ioctl", "the system call and nothing else") })
        }
    }

    private func compare(
        _ operation: PageOperation, _ size: Int, _ context: Context, in report: inout Report
    ) {
        let parameters: [Parameter] = [
            .text("operation", operation.rawValue), .number("per_call", size),
        ]
        let (ours, theirs) = (OperationVariant.typed.rawValue, OperationVariant.plain.rawValue)
        let before = report.ratios.count
        report.addRatios(name, ours, over: theirs, [.timePerPage], parameters: parameters)
        guard context.arguments.pin == .same, size == goal.pagesPerCall, report.ratios.count > before,
            let ratio = report.ratios.last
        else { return }
        report.checks.append(
            Check(
                scenario: name, figure: "\(operation.rawValue) \(ours) / \(theirs) time per page",
                value: ratio.median, bound: goal.bound))
    }
}
