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
    /// Every chart has one, or says why not.
    var floor: Floor?

    /// Whether what a name stands for is drawn in grey: plain C, the kernel by itself, what others do, or nothing at all.
    static func isBaseline(_ name: String) -> Bool {
        ["c-", "none", "mmap"].contains { name.hasPrefix($0) } || ["eager", "fork"].contains(name)
    }

    /// The time at each percentile, the median over the runs; both axes logarithmic.
    ///
    /// - Parameter floor: in nanoseconds.
    static func latencies(
        _ title: String, scenario: String, _ variants: [(String, [Distribution])], floor: Floor? = nil
    ) -> Chart {
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
        var all = series.flatMap(\.points).map(\.y)
        var floor = floor
        if case .line(let time, let meaning) = floor {
            all.append(log10(max(time, 1)))
            floor = .line(log10(max(time, 1)), meaning)
        }
        return Chart(
            scenario: scenario, title: title,
            kind: .lines(series, x: x, y: decades(all), xTitle: "percentile"), floor: floor)
    }

    /// How much of a region was there after how long.
    ///
    /// - Parameter floor: the time in which all of it can be there at the earliest; drawn as a line of its own.
    static func progress(
        _ title: String, scenario: String, _ variants: [(String, [UInt64])], floor: Floor,
        xTitle: String = "time since the first access"
    ) -> Chart {
        var longest = Double(variants.compactMap { $0.1.last }.max() ?? 1)
        if case .line(let time, _) = floor { longest = max(longest, time) }
        var series = variants.map { name, times in
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
        var own = floor
        if case .line(let time, let meaning) = floor {
            series.append(Series(name: "c-floor", points: [(x: 0, y: 0), (x: time / longest, y: 1)]))
            own = .drawn("c-floor", meaning)
        }
        let fractions = [0, 0.25, 0.5, 0.75, 1]
        return Chart(
            scenario: scenario, title: title,
            kind: .lines(
                series, x: fractions.map { Tick(place: $0, label: Table.time($0 * longest)) },
                y: fractions.map { Tick(place: $0, label: "\(Int($0 * 100)) %") },
                xTitle: xTitle), floor: own)
    }

    /// The names of what is drawn.
    var names: [String] {
        switch kind {
        case .bars(let bars, _, _): bars.map(\.label)
        case .lines(let series, _, _, _): series.map(\.name)
        }
    }

    /// 10 to this power, nanoseconds.
    private static func decade(_ power: Int) -> String {
        let units = ["ns", "µs", "ms", "s"]
        let unit = min(max(power, 0) / 3, units.count - 1)
        return Table.count(pow(10, Double(power - 3 * unit))) + " " + units[unit]
    }

    private static func decades(_ values: [Double]) -> [Tick] {
        let low = Int((values.min() ?? 0).rounded(.down))
        let high = max(Int((values.max() ?? 1).rounded(.up)), low + 1)
        return (low...high).map { Tick(place: Double($0), label: decade($0)) }
    }
}
