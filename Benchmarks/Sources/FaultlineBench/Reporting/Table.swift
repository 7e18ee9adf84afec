/// A table of plain text, and the formats of numbers in it.
struct Table {
    var header: [String]
    var rows: [[String]] = []

    /// Columns aligned: the first on the left, the others on the right.
    var text: String {
        let all = [header] + rows
        let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
        var lines: [String] = []
        for (index, row) in all.enumerated() {
            var line = ""
            for (column, cell) in row.enumerated() {
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 ? cell + padding : "  " + padding + cell
            }
            lines.append(line)
            if index == 0 { lines.append(String(repeating: "-", count: line.count)) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// A number with a fixed number of decimal places.
    static func number(_ value: Double, places: Int) -> String {
        guard value.isFinite else { return "-" }
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = Int64((abs(value) * scale).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard places > 0 else { return sign + String(scaled) }
        let fraction = String(scaled % Int64(scale))
        return sign + String(scaled / Int64(scale)) + "."
            + String(repeating: "0", count: places - fraction.count)
            + fraction
    }

    /// Nanoseconds in the unit that suits them.
    static func time(_ nanoseconds: Double) -> String {
        switch nanoseconds {
        case ..<1000: number(nanoseconds, places: 0) + " ns"
        case ..<1_000_000: number(nanoseconds / 1000, places: 2) + " µs"
        case ..<1_000_000_000: number(nanoseconds / 1_000_000, places: 2) + " ms"
        default: number(nanoseconds / 1_000_000_000, places: 2) + " s"
        }
    }

    /// A large number with its thousands apart.
    static func count(_ value: Double) -> String {
        var digits = String(Int64(value.rounded()))
        var groups: [String] = []
        while digits.count > 3 {
            groups.append(String(digits.suffix(3)))
            digits.removeLast(3)
        }
        return ([digits] + groups.reversed()).joined(separator: ",")
    }
}
