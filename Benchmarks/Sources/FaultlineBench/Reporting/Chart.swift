import Glibc

/// A plot, before it is drawn.
struct Chart {
    /// A median with its range.
    struct Bar {
        var label: String
        var isBaseline: Bool
        var value: Double
        var low: Double
        var high: Double
    }

    /// A line. `x` and `y` are drawn as they are; scales have been applied.
    struct Series {
        var name: String
        var points: [(x: Double, y: Double)]
    }

    /// A labelled place on an axis.
    struct Tick {
        var place: Double
        var label: String
    }

    enum Kind {
        case bars([Bar], isTime: Bool, unit: String)
        case lines([Series], x: [Tick], y: [Tick], xTitle: String)
    }

    var scenario: String
    var title: String
    var kind: Kind

    /// Whether what a name stands for is drawn in grey: plain C, or nothing at all.
    static func isBaseline(_ name: String) -> Bool {
        name.hasPrefix("c-") || name.hasPrefix("none") || ["eager", "fork"].contains(name)
    }

    /// The time at each percentile, the median over the runs; both axes logarithmic.
    static func latencies(_ title: String, scenario: String, _ variants: [(String, [Distribution])]) -> Chart
    {
        let step = 1.0 / 12
        let series = variants.map { name, runs in
            Series(
                name: name,
                points: Distribution.places.indices.map { index in
                    let time = Statistics.median(runs.map { $0.curve[index] })
                    return (x: Double(index) * step, y: log10(max(time, 1)))
                })
        }
        let labels = ["0", "90 %", "99 %", "99.9 %", "99.99 %"]
        let x = labels.enumerated().map { Tick(place: Double($0.offset), label: $0.element) }
        let all = series.flatMap(\.points).map(\.y)
        return Chart(
            scenario: scenario, title: title,
            kind: .lines(series, x: x, y: decades(all), xTitle: "percentile of the touches"))
    }

    /// How much of a region was there after how long.
    static func progress(
        _ title: String, scenario: String, _ variants: [(String, [UInt64])],
        xTitle: String = "time since the first access"
    ) -> Chart {
        let longest = Double(variants.compactMap { $0.1.last }.max() ?? 1)
        let series = variants.map { name, times in
            let parts = 100
            return Series(
                name: name,
                points: (0...parts).map { part in
                    let index = max(0, times.count * part / parts - 1)
                    return (
                        x: times.isEmpty ? 0 : Double(times[index]) / longest, y: Double(part) / Double(parts)
                    )
                })
        }
        let fractions = [0, 0.25, 0.5, 0.75, 1]
        return Chart(
            scenario: scenario, title: title,
            kind: .lines(
                series, x: fractions.map { Tick(place: $0, label: Table.time($0 * longest)) },
                y: fractions.map { Tick(place: $0, label: "\(Int($0 * 100)) %") },
                xTitle: xTitle))
    }

    private static func decades(_ values: [Double]) -> [Tick] {
        let low = Int((values.min() ?? 0).rounded(.down))
        let high = max(Int((values.max() ?? 1).rounded(.up)), low + 1)
        return (low...high).map { Tick(place: Double($0), label: Table.time(pow(10, Double($0)))) }
    }
}
