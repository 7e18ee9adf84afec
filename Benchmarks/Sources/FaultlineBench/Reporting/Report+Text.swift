extension Report {
    /// What `--format table` prints: a table for each scenario, then a line of verdict for each.
    var text: String {
        var text = machine.text + "\n"
        for scenario in scenarios {
            text += "\n\(scenario)\n" + Report.table(results.filter { $0.scenario == scenario }).text
        }
        text += "\n"
        for scenario in scenarios { text += verdict(scenario) + "\n" }
        return text
    }

    /// Scenarios that have results, in order.
    var scenarios: [String] {
        var names: [String] = []
        for row in results where !names.contains(row.scenario) { names.append(row.scenario) }
        return names
    }

    /// One line: the ratios to the baseline, and the bounds.
    func verdict(_ scenario: String) -> String {
        let own = checks.filter { $0.scenario == scenario }
        if !own.isEmpty { return "\(scenario): " + own.map(\.text).joined(separator: "; ") }
        let parts = ratios.filter { $0.scenario == scenario }.map { ratio in
            let place = ratio.parameters.map { "\($0.name) \($0.value.text)" }.joined(separator: ", ")
            let value = Table.number(ratio.median, places: 2)
            return "\(ratio.numerator) / \(ratio.denominator) \(ratio.metric.title) \(value)"
                + (place.isEmpty ? "" : " (\(place))")
        }
        return "\(scenario): " + (parts.isEmpty ? "contents verified" : parts.joined(separator: "; "))
    }

    /// One line per variant and parameters, one column per metric that any of them has.
    static func table(_ rows: [ResultRow]) -> Table {
        let columns: [(Metric, String, (ResultRow) -> String)] = [
            (.latency, "p50", { Table.time($0.median) }),
            (.latency, "p99", { $0.p99.map { Table.time($0) } ?? "-" }),
            (.time, "time", { Table.time($0.median) }),
            (.timePerPage, "per page", { Table.number($0.median, places: 1) + " ns" }),
            (
                .timePerPage, "min–max",
                { "\(Table.number($0.min, places: 1))–\(Table.number($0.max, places: 1))" }
            ),
            (.timePerAccess, "per access", { Table.time($0.median) }),
            (.timePerAccess, "min–max", { "\(Table.time($0.min))–\(Table.time($0.max))" }),
            (.timePerAccess, "p99", { $0.p99.map { Table.time($0) } ?? "-" }),
            (.faultsPerAccess, "faults", { Table.number($0.median, places: 2) }),
            (.systemCallsPerAccess, "calls", { Table.number($0.median, places: 2) }),
            (.evictionsPerAccess, "evictions", { Table.number($0.median, places: 2) }),
            (.writesPerAccess, "writes", { Table.number($0.median, places: 3) }),
            (.throughput, "per second", { Table.count($0.median) }),
            (.throughput, "min–max", { "\(Table.count($0.min))–\(Table.count($0.max))" }),
            (.slowestToMedian, "slowest / median", { Table.number($0.median, places: 2) }),
            (.contextSwitchesPerFault, "switches", { Table.number($0.median, places: 2) }),
            (.ioctlsPerFault, "ioctls", { Table.number($0.median, places: 2) }),
            (.wakesPerFault, "wakes", { Table.number($0.median, places: 2) }),
            (.readsPerFault, "reads", { Table.number($0.median, places: 2) }),
            (.allocationsPerFault, "allocations", { Table.number($0.median, places: 2) }),
            (.eexist, "EEXIST", { Table.number($0.median, places: 0) }),
            (.eagain, "EAGAIN", { Table.number($0.median, places: 0) }),
        ]
        // It stands under the plots, and in the JSON.
        let rows = rows.filter { $0.metric != .copyingPerPage }
        let present = columns.filter { column in rows.contains { $0.metric == column.0 } }
        var table = Table(header: ["variant"] + present.map(\.1))
        let labels = Report.labels(rows)
        var seen: [String] = []
        for label in labels where !seen.contains(label) {
            seen.append(label)
            let own = zip(rows, labels).filter { $0.1 == label }.map(\.0)
            table.rows.append(
                [label]
                    + present.map { column in own.first { $0.metric == column.0 }.map(column.2) ?? "" })
        }
        return table
    }

    /// The variant of each row with those parameters in which rows differ.
    ///
    /// - Parameter plain: a variant without parameters.
    static func labels(_ rows: [ResultRow], plain: String? = nil) -> [String] {
        let others = rows.filter { $0.variant != plain }
        var names: [String] = []
        for parameter in others.flatMap(\.parameters) where !names.contains(parameter.name) {
            names.append(parameter.name)
        }
        let telling = names.filter { name in
            let values = others.map { row in row.parameters.first { $0.name == name }?.value }
            return values.contains { $0 != values.first }
        }
        return rows.map { row in
            let own = row.variant == plain ? [] : row.parameters.filter { telling.contains($0.name) }
            return row.variant + own.map { " \($0.name)=\($0.label)" }.joined()
        }
    }
}
