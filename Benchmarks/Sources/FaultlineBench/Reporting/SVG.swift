/// Drawing of charts as inline SVG. Colours come from the page's style sheet, so that it can be light or dark.
enum SVG {
    static let width = 760.0

    static func draw(_ chart: Chart) -> String {
        switch chart.kind {
        case .bars(let bars, let isTime, let unit): draw(bars, chart, isTime: isTime, unit: unit)
        case .lines(let series, let x, let y, let xTitle):
            draw(series, chart, x: x, y: y, xTitle: xTitle)
        }
    }

    /// Horizontal bars of medians with the range of the runs.
    private static func draw(_ bars: [Chart.Bar], _ chart: Chart, isTime: Bool, unit: String) -> String {
        // Room for the longest name.
        let left = min(max(Double(bars.map(\.label.count).max() ?? 0) * 7 + 16, 120), 380)
        let right = 140.0
        let step = 26.0
        let height = Double(bars.count) * step + 16
        let floor = chart.floorLine
        let longest = max(bars.map(\.high).max() ?? 1, floor ?? 0, .leastNonzeroMagnitude)
        let scale = (width - left - right) / longest
        var body = ""
        var texts = ""
        for (index, bar) in bars.enumerated() {
            let top = 8 + Double(index) * step
            let middle = top + 9
            let value = isTime ? Table.time(bar.value) : "\(Table.count(bar.value)) \(unit)"
            texts += text(left - 8, middle + 4, bar.label, anchor: "end")
            body += """
                <rect class="\(bar.isBaseline ? "c" : "f")" x="\(px(left))" y="\(px(top))" \
                width="\(px(bar.value * scale))" height="18" rx="2"/>
                """
            let ends = (left + bar.low * scale, left + bar.high * scale)
            body += """
                <path class="w" d="M\(px(ends.0)) \(px(middle))H\(px(ends.1))M\(px(ends.0)) \(px(middle - 4))v8\
                M\(px(ends.1)) \(px(middle - 4))v8"/>
                """
            texts += text(max(left + bar.value * scale, ends.1) + 6, middle + 4, value, anchor: "start")
        }
        if let floor {
            body += "<path class=\"l\" d=\"M\(px(left + floor * scale)) 2V\(px(height - 2))\"/>"
        }
        // Above the line, which they may meet.
        body += texts
        return figure(chart, body, height: height)
    }

    /// Lines over two axes with labelled places.
    private static func draw(
        _ series: [Chart.Series], _ chart: Chart, x: [Chart.Tick], y: [Chart.Tick], xTitle: String
    ) -> String {
        let legendRows = Double((series.count + 2) / 3)
        let height = 290 + legendRows * 18
        let (left, right, top, bottom) = (70.0, 20.0, 10.0, 46 + legendRows * 18)
        let legend = height - legendRows * 18 + 10
        func place(_ value: Double, _ ticks: [Chart.Tick], _ from: Double, _ to: Double) -> Double {
            let low = ticks.first?.place ?? 0
            let span = max((ticks.last?.place ?? 1) - low, .leastNonzeroMagnitude)
            return from + (min(max(value, low), low + span) - low) / span * (to - from)
        }
        func across(_ value: Double) -> Double { place(value, x, left, width - right) }
        func up(_ value: Double) -> Double { place(value, y, height - bottom, top) }
        var body = ""
        for tick in x {
            body += "<path class=\"g\" d=\"M\(px(across(tick.place))) \(px(top))V\(px(height - bottom))\"/>"
            body += text(across(tick.place), height - bottom + 16, tick.label, anchor: "middle")
        }
        for tick in y {
            body += "<path class=\"g\" d=\"M\(px(left)) \(px(up(tick.place)))H\(px(width - right))\"/>"
            body += text(left - 6, up(tick.place) + 4, tick.label, anchor: "end")
        }
        body += text((left + width - right) / 2, height - bottom + 32, xTitle, anchor: "middle")
        var (baselines, others) = (0, 0)
        for (index, line) in series.enumerated() {
            // Plain C in greys, the rest in colours.
            let style: String
            if Chart.isBaseline(line.name) {
                style = "k\(baselines % 4)"
                baselines += 1
            } else {
                style = "s\(others % 6)"
                others += 1
            }
            let points = line.points.map { "\(px(across($0.x))),\(px(up($0.y)))" }.joined(separator: " ")
            body += "<polyline class=\"\(style)\" points=\"\(points)\"/>"
            // The legend: three to a line.
            let start = left + Double(index % 3) * (width - left - right) / 3
            let row = legend + Double(index / 3) * 18
            body += "<path class=\"\(style)\" d=\"M\(px(start)) \(px(row - 4))h18\"/>"
            body += text(start + 24, row, line.name, anchor: "start")
        }
        if let floor = chart.floorLine {
            body += "<path class=\"l\" d=\"M\(px(left)) \(px(up(floor)))H\(px(width - right))\"/>"
        }
        return figure(chart, body, height: height)
    }

    private static func figure(_ chart: Chart, _ body: String, height: Double) -> String {
        let title = HTML.escape(chart.title)
        let floor = chart.floor.map { "<br>" + HTML.escape($0.sentence) } ?? ""
        return """
            <figure><figcaption>\(title)\(floor)</figcaption>\
            <svg viewBox="0 0 \(px(width)) \(px(height))" role="img" aria-label="\(title)">\(body)</svg></figure>

            """
    }

    private static func text(_ x: Double, _ y: Double, _ content: String, anchor: String) -> String {
        "<text x=\"\(px(x))\" y=\"\(px(y))\" text-anchor=\"\(anchor)\">\(HTML.escape(content))</text>"
    }

    private static func px(_ value: Double) -> String { Table.number(value, places: 1) }
}
