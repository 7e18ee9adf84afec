extension Chart {
    /// How many things happened in a second, over time.
    ///
    /// - Parameters:
    ///   - variants: for each, how many happened in each interval.
    ///   - interval: nanoseconds.
    ///   - before: intervals before the one that the time is counted from.
    static func rates(
        _ title: String, scenario: String, _ variants: [(String, [Double])], interval: Double,
        before: Int = 0, since: String, floor: Floor
    ) -> Chart {
        let most = 150
        let length = max(variants.map(\.1.count).max() ?? 1, 1)
        // So many intervals to a point that the line can be read.
        let step = (length + most - 1) / most
        let series = variants.map { name, counts in
            Series(
                name: name,
                points: stride(from: 0, to: counts.count, by: step).map { start in
                    let part = counts[start..<min(start + step, counts.count)]
                    let perSecond = part.reduce(0, +) / (Double(part.count) * interval / 1e9)
                    return (x: (Double(start) + Double(part.count) / 2) / Double(length), y: perSecond)
                })
        }
        let highest = max(series.flatMap(\.points).map(\.y).max() ?? 1, 1)
        let fractions = [0, 0.25, 0.5, 0.75, 1]
        return Chart(
            scenario: scenario, title: title,
            kind: .lines(
                series,
                x: fractions.map { place in
                    let time = (place * Double(length) - Double(before)) * interval
                    return Tick(place: place, label: (time < 0 ? "-" : "") + Table.time(abs(time)))
                },
                y: fractions.map { Tick(place: $0 * highest, label: Table.count($0 * highest)) },
                xTitle: "time since \(since)"), floor: floor)
    }

    /// The part of many that had ended after how long, in the run that took the median time.
    static func completions(
        _ title: String, scenario: String, _ sizes: [(String, [[UInt64]])], floor: Floor
    ) -> Chart {
        progress(
            title, scenario: scenario,
            sizes.map { name, runs in
                let sorted = runs.sorted { ($0.last ?? 0) < ($1.last ?? 0) }
                return (name, sorted.isEmpty ? [] : sorted[sorted.count / 2])
            }, floor: floor, xTitle: "time since they were let go")
    }

    /// The median over runs of what happened in each interval; as long as half of the runs lasted.
    static func middle(_ runs: [[Int]]) -> [Double] {
        let lengths = runs.map(\.count).sorted()
        guard !lengths.isEmpty else { return [] }
        return (0..<lengths[lengths.count / 2]).map { index in
            Statistics.median(runs.filter { $0.count > index }.map { Double($0[index]) })
        }
    }
}
