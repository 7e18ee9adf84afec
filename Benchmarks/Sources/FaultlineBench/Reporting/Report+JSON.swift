extension Report {
    /// The object that `--format json` prints, schema 1.
    var json: JSON {
        .object([
            ("schema", .number(1)),
            ("machine", machine.json),
            ("results", .array(results.map(\.json))),
            ("ratios", .array(ratios.map(\.json))),
        ])
    }
}

extension ResultRow {
    var json: JSON {
        .object([
            ("scenario", .string(scenario)),
            ("variant", .string(variant)),
            ("parameters", .object(parameters.map(\.json))),
            ("metric", .string(metric.rawValue)),
            ("unit", .string(unit)),
            ("median", .number(median)),
            ("min", .number(min)),
            ("max", .number(max)),
            ("p99", p99.map { .number($0) } ?? .null),
            ("runs", .number(Double(runs))),
        ])
    }
}

extension RatioRow {
    var json: JSON {
        .object([
            ("scenario", .string(scenario)),
            ("numerator", .string(numerator)),
            ("denominator", .string(denominator)),
            ("parameters", .object(parameters.map(\.json))),
            ("metric", .string(metric.rawValue)),
            ("median", .number(median)),
        ])
    }
}
