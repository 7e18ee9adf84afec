public import EventReactor
public import Faultline

/// Builds a page in the text format of Prometheus (version 0.0.4) from what pagers and reactors have counted.
///
/// ```swift
/// var page = MetricsPage()
/// page.add(await pager.statistics, latencies: await pager.latencies, pager: "guest")
/// page.add(await reactor.statistics(), reactor: "main")
/// try await connection.write(page.text)
/// ```
///
/// Any thread; allocates, and does not block. Names begin with `faultline_`; what counts up ends in `_total`, what is a time
/// is in seconds.
public struct MetricsPage: Sendable {
    /// The type and help of one name, and its samples: all that belongs to a name must be together.
    private struct Family {
        let name: String
        let header: String
        var samples = ""
    }

    private var families: [Family] = []
    private var places: [String: Int] = [:]

    /// An empty page.
    public init() {}

    /// The page: lines of UTF-8, each with its line feed.
    public var text: String { families.reduce(into: "") { $0 += $1.header + $1.samples } }

    /// Adds a sample of your own.
    ///
    /// - Parameters:
    ///   - name: letters, digits and underscores; other characters are replaced by underscores.
    ///   - kind: what it is.
    ///   - help: one sentence; that of the first sample of a name counts.
    ///   - labels: in the order in which they are to be written. Values may be any text.
    ///   - value: what it is now.
    public mutating func add(
        _ name: String, _ kind: Kind, help: String, labels: KeyValuePairs<String, String> = [:], value: Double
    ) {
        write(name, kind.rawValue, help, suffix: "", labels: labels.map { ($0.key, $0.value) }, value: value)
    }

    /// What a metric is.
    public enum Kind: String, Hashable, Sendable {
        /// It only grows, until the process starts anew.
        case counter
        /// It goes up and down.
        case gauge
    }

    /// Adds what a pager has counted.
    ///
    /// - Parameters:
    ///   - statistics: from `Pager.statistics`.
    ///   - latencies: from `Pager.latencies`; nil if nothing is timed.
    ///   - pager: the value of the label `pager`.
    public mutating func add(_ statistics: PagerStatistics, latencies: PagerLatencies? = nil, pager: String) {
        for metric in PagerMetric.all {
            write(
                metric.name, metric.kind.rawValue, metric.help, suffix: "",
                labels: [("pager", pager)] + metric.labels.map { ($0.key, $0.value) },
                value: Double(statistics[keyPath: metric.value]))
        }
        guard let latencies else { return }
        let stages = [
            ("queue", latencies.queue), ("store", latencies.store), ("ioctls", latencies.ioctls),
            ("wake", latencies.wake),
        ]
        for (stage, histogram) in stages { add(histogram, pager: pager, stage: stage) }
    }

    private mutating func add(_ histogram: LatencyHistogram, pager: String, stage: String) {
        let name = "faultline_stage_seconds"
        let help = "How long faults spent in each stage."
        let labels = [("pager", pager), ("stage", stage)]
        for (limit, text) in Self.limits {
            write(
                name, "histogram", help, suffix: "_bucket", labels: labels + [("le", text)],
                value: Double(histogram.count(upTo: limit)))
        }
        let count = Double(histogram.count)
        write(name, "histogram", help, suffix: "_bucket", labels: labels + [("le", "+Inf")], value: count)
        write(name, "histogram", help, suffix: "_sum", labels: labels, value: histogram.total / .seconds(1))
        write(name, "histogram", help, suffix: "_count", labels: labels, value: count)
    }

    /// From a microsecond to ten seconds, in steps of 1, 2 and 5.
    private static let limits: [(Duration, String)] = {
        var limits: [(Duration, String)] = []
        for (scale, exponent) in zip(
            [1, 10, 100, 1000, 10000, 100_000, 1_000_000], [-6, -5, -4, -3, -2, -1, 0])
        {
            for step in [1, 2, 5] {
                limits.append(
                    (.microseconds(step * scale), exponent == 0 ? "\(step).0" : "\(step)e\(exponent)"))
            }
        }
        return limits
    }()

    /// Adds what a reactor has counted.
    ///
    /// - Parameters:
    ///   - statistics: from `Reactor.statistics()`.
    ///   - reactor: the value of the label `reactor`.
    public mutating func add(_ statistics: TurnStatistics, reactor: String) {
        for metric in ReactorMetric.all {
            write(
                metric.name, Kind.counter.rawValue, metric.help, suffix: "", labels: [("reactor", reactor)],
                value: Double(statistics[keyPath: metric.value]) * metric.scale)
        }
    }

    private mutating func write(
        _ name: String, _ type: String, _ help: String, suffix: String, labels: [(String, String)],
        value: Double
    ) {
        let name = Self.cleaned(name)
        let place: Int
        if let known = places[name] {
            place = known
        } else {
            place = families.count
            places[name] = place
            let help = Self.escaped(help, quotes: false)
            families.append(Family(name: name, header: "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"))
        }
        var line = name + suffix
        if !labels.isEmpty {
            let list = labels.map { "\(Self.cleaned($0.0))=\"\(Self.escaped($0.1, quotes: true))\"" }
            line += "{" + list.joined(separator: ",") + "}"
        }
        families[place].samples += line + " " + Self.number(value) + "\n"
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    private static func cleaned(_ name: String) -> String {
        var cleaned = ""
        for scalar in name.unicodeScalars {
            let isLetter = ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || scalar == "_"
            let isDigit = ("0"..."9").contains(scalar)
            cleaned.unicodeScalars.append(isLetter || isDigit && !cleaned.isEmpty ? scalar : "_")
        }
        return cleaned.isEmpty ? "_" : cleaned
    }

    private static func escaped(_ text: String, quotes: Bool) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where quotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
