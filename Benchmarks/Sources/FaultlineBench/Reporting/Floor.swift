/// What no server can do better than, as far as a chart can show it.
enum Floor {
    /// A dashed line at this value, in the chart's unit, and what it stands for.
    case line(Double, String)
    /// What is drawn under this name already, and what it stands for.
    case drawn(String, String)
    /// There is none, and why.
    case absent(String)

    /// The sentence under the chart.
    var sentence: String {
        switch self {
        case .line(_, let meaning): "Dashed, the floor: \(meaning)."
        case .drawn(let name, let meaning): "The floor is \(name): \(meaning)."
        case .absent(let reason): "No floor: \(reason)."
        }
    }
}

extension Chart {
    /// Where the dashed line is.
    var floorLine: Double? {
        guard case .line(let value, _)? = floor else { return nil }
        return value
    }
}

/// How long the kernel takes to copy pages when nobody waits for them: UFFDIO_COPY in plain C, in calls of so many pages.
struct CopyFloor {
    /// Nanoseconds for each page, one for each run.
    private let nanoseconds: [Double]
    private let pagesPerCall: Int

    /// Measures it, and adds it to the report.
    ///
    /// - Parameters:
    ///   - scenario: whose floor it is.
    ///   - source: the contents; some pages more than are counted.
    ///   - pages: how many.
    ///   - pagesPerCall: 1 or 512.
    static func measure(
        for scenario: String, _ source: Contents, pages: Int, pagesPerCall: Int, _ placement: Placement,
        _ context: Context, into report: inout Report
    ) async throws -> CopyFloor {
        // Whoever profiles one variant wants nothing else.
        guard context.wants("c-floor") else { return CopyFloor(nanoseconds: [], pagesPerCall: pagesPerCall) }
        let variant = CVariant(name: "c-floor", style: pagesPerCall == 1 ? .copies : .floor)
        let samples = try await context.rounds.run("\(scenario), floor", [variant.name]) { _, round in
            try await TouchRun(
                source: source, pages: pages, warmUp: 0, placement: placement, threads: 1,
                pattern: .ascending,
                seed: UInt64(round) &+ 1
            ).measure(variant)
        }
        let times = samples.joined().map { Double($0.elapsed) / Double(pages) }
        report.results.append(
            ResultRow(
                scenario: scenario, variant: variant.name,
                parameters: [.pages(pages), .number("per_call", pagesPerCall)], metric: .copyingPerPage,
                values: times))
        return CopyFloor(nanoseconds: times, pagesPerCall: pagesPerCall)
    }

    private var meaning: String {
        "UFFDIO_COPY of \(pagesPerCall == 1 ? "1 page" : "\(pagesPerCall) pages") a call, without a fault"
    }

    /// Of the time that so many pages take.
    func time(pages: Int = 1) -> Floor { floor { $0 * Double(pages) } }

    /// Of the pages in a second.
    ///
    /// - Parameter exception: who is not bound by it, and why.
    func throughput(but exception: String? = nil) -> Floor { floor(exception) { 1e9 / $0 } }

    private func floor(_ exception: String? = nil, _ value: (Double) -> Double) -> Floor {
        guard !nanoseconds.isEmpty else { return .absent("it was left out by --variants") }
        return .line(value(Statistics.median(nanoseconds)), meaning + (exception.map { "; \($0)" } ?? ""))
    }
}
