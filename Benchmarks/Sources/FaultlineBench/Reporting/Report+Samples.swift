extension Report {
    /// Adds the rows that every scenario with faults has.
    mutating func add(
        _ samples: [Sample], scenario: String, variant: String, parameters: [Parameter], unit: String
    ) {
        func row(_ metric: Metric, unit: String? = nil, p99: [Double] = [], _ value: (Sample) -> Double) {
            results.append(
                ResultRow(
                    scenario: scenario, variant: variant, parameters: parameters, metric: metric, unit: unit,
                    values: samples.map(value), p99: p99))
        }
        func perFault(_ metric: Metric, _ count: (Counters) -> UInt64) {
            row(metric) { Double(count($0.counters)) / Double($0.served) }
        }
        row(.latency, p99: samples.map(\.latency.p99), \.latency.p50)
        row(.throughput, unit: unit) { Double($0.pages) / (Double($0.elapsed) / 1e9) }
        row(.contextSwitchesPerFault) { Double($0.contextSwitches) / Double($0.pages) }
        perFault(.ioctlsPerFault, \.ioctls)
        perFault(.copiesPerFault, \.copies)
        perFault(.wakesPerFault, \.wakes)
        perFault(.readsPerFault, \.reads)
        perFault(.messagesPerFault, \.messages)
        perFault(.bytesPerFault, \.bytes)
        if System.allocationsAreCounted {
            row(.allocationsPerFault) { Double($0.allocations) / Double($0.pages) }
        }
        row(.eexist) { Double($0.counters.eexist) }
        row(.eagain) { Double($0.counters.eagain) }
    }

    /// Adds ratios of medians, for the metrics that both variants have.
    mutating func addRatios(
        _ scenario: String, _ numerator: String, over denominator: String, _ metrics: [Metric],
        parameters: [Parameter]
    ) {
        for metric in metrics {
            guard let above = result(scenario, numerator, metric, parameters),
                let below = result(scenario, denominator, metric, parameters), below.median > 0
            else { continue }
            ratios.append(
                RatioRow(
                    scenario: scenario, numerator: numerator, denominator: denominator,
                    parameters: parameters,
                    metric: metric, median: above.median / below.median))
        }
    }

    /// Adds a chart of bars for each metric, one bar per row that has all of `parameters`.
    ///
    /// - Parameters:
    ///   - baseline: a variant whose rows are shown whatever their parameters are.
    ///   - floor: of this metric, in its unit.
    mutating func addBars(
        _ scenario: String, _ metrics: [Metric], of parameters: [Parameter] = [], title: String = "",
        baseline: String? = nil, floor: (Metric) -> Floor? = { _ in nil }
    ) {
        for metric in metrics {
            let rows = results.filter { row in
                row.scenario == scenario && row.metric == metric
                    && (row.variant == baseline || parameters.allSatisfy(row.parameters.contains))
            }
            guard let first = rows.first else { continue }
            let labels = Report.labels(rows, plain: baseline)
            let bars = zip(rows, labels).map { row, label in
                Chart.Bar(
                    label: label, isBaseline: Chart.isBaseline(row.variant), value: row.median,
                    low: row.min,
                    high: row.max)
            }
            charts.append(
                Chart(
                    scenario: scenario, title: "\(scenario): \(metric.title)\(title)",
                    kind: .bars(bars, isTime: first.unit == "ns", unit: first.unit), floor: floor(metric)))
        }
    }
}
