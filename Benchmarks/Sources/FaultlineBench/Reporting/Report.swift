/// Everything that was measured, in the order it was.
struct Report {
    var machine: Machine
    var results: [ResultRow] = []
    var ratios: [RatioRow] = []
    var checks: [Check] = []
    var charts: [Chart] = []

    /// The row of a variant, among those that have all of `parameters`.
    func result(
        _ scenario: String, _ variant: String, _ metric: Metric, _ parameters: [Parameter]
    ) -> ResultRow? {
        results.first { row in
            row.scenario == scenario && row.variant == variant && row.metric == metric
                && parameters.allSatisfy(row.parameters.contains)
        }
    }
}

/// One metric of one variant.
struct ResultRow {
    var scenario: String
    var variant: String
    var parameters: [Parameter]
    var metric: Metric
    var unit: String
    /// Over the runs; of a latency, over the medians of the runs.
    var median: Double
    var min: Double
    var max: Double
    /// The median of the runs' 99th percentiles, where a run has a distribution.
    var p99: Double?
    var runs: Int

    init(
        scenario: String, variant: String, parameters: [Parameter], metric: Metric, unit: String? = nil,
        values: [Double], p99: [Double] = []
    ) {
        self.scenario = scenario
        self.variant = variant
        self.parameters = parameters
        self.metric = metric
        self.unit = unit ?? metric.unit
        median = Statistics.median(values)
        min = values.min() ?? 0
        max = values.max() ?? 0
        self.p99 = p99.isEmpty ? nil : Statistics.median(p99)
        runs = values.count
    }
}

/// The median of one variant over that of another.
struct RatioRow {
    var scenario: String
    var numerator: String
    var denominator: String
    var parameters: [Parameter]
    var metric: Metric
    var median: Double
}

/// A figure with the bound it should keep: information, not a reason to fail.
struct Check {
    enum Bound {
        case atMost(Double)
        case atLeast(Double)

        func holds(_ value: Double) -> Bool {
            switch self {
            case .atMost(let limit): value <= limit
            case .atLeast(let limit): value >= limit
            }
        }

        var text: String {
            switch self {
            case .atMost(let limit): "≤ \(Table.number(limit, places: 2))"
            case .atLeast(let limit): "≥ \(Table.number(limit, places: 2))"
            }
        }
    }

    var scenario: String
    var figure: String
    var value: Double
    var bound: Bound

    var holds: Bool { bound.holds(value) }
    var text: String {
        "\(figure) \(bound.text): \(Table.number(value, places: 2)) \(holds ? "ok" : "MISSED")"
    }
}
