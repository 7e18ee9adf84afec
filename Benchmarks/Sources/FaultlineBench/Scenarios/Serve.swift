/// A server whose image is restored as it is needed and saved while it goes on, beside one that does as others do: it loads its
/// image first, and forks to save it.
struct ServeScenario: Scenario {
    let name = "serve"
    let summary =
        "the example snapshot-server with an image of 1 GiB: its first reply, and requests while it is saved"

    let variantNames = ["faultline", "eager", "fork", "none"]

    /// From here on bounds are checked: what a start costs has nothing to be hidden behind in a small image.
    private let fullSize = 262_144

    /// What is timed.
    private enum Part: String {
        case firstReply = "first reply"
        case loaded
        case longestRequest = "longest request"
        case rareRequest = "p99.9 request"
        case image
    }

    private enum Outcome {
        case start(ServeRun.Start)
        case image(ServeRun.Image)
    }

    private enum Work {
        case start(eagerly: Bool)
        case image(ServeRun.Method)

        var variant: String {
            switch self {
            case .start(let eagerly): eagerly ? "eager" : "faultline"
            case .image(let method): method == .live ? "faultline" : method.rawValue
            }
        }

        var title: String {
            switch self {
            case .start: "\(variant), start"
            case .image: "\(variant), image"
            }
        }
    }

    private let quiet = Floor.drawn("none", "the same requests while nothing is saved")

    func run(_ context: Context, into report: inout Report) async throws {
        guard let server = try context.examples(["snapshot-server"], for: name)?.first else { return }
        let pages = max(context.pages(fullSize, tour: 4096), 64)
        for clients in context.threads([1], tour: [1]) {
            let count = min(clients, pages)
            try await run(context, server, pages: pages, clients: count, into: &report)
        }
        for part in [Part.firstReply, .loaded, .longestRequest] {
            report.addBars(
                name, [.time], of: [.text("of", part.rawValue)], title: ", \(part.rawValue)",
                floor: { _ in part == .longestRequest ? quiet : .absent("a program has to start first") })
        }
    }

    private func run(
        _ context: Context, _ server: String, pages: Int, clients: Int, into report: inout Report
    ) async throws {
        let works: [Work] =
            ([.start(eagerly: false), .start(eagerly: true)] + ServeRun.Method.allCases.map { .image($0) })
            .filter { context.wants($0.variant) }
        // Two images and, for what fork copies meanwhile, one more.
        let folder = try WorkFolder(room: 3 * (pages * System.pageSize + (64 << 20)))
        func measured(seed: UInt64) -> ServeRun {
            ServeRun(
                server: server, folder: folder,
                load: KeyValueLoad(keys: pages, clients: clients, seed: seed, writePercent: 90))
        }
        context.progress.show("\(name): an image of \(pages) pages is made")
        try measured(seed: 0).prepare()
        let outcomes = try await context.rounds.run("\(name), \(clients) clients", works.map(\.title)) {
            index, round in
            let run = measured(seed: UInt64(round) &* 6_700_417 &+ 5)
            switch works[index] {
            case .start(let eagerly): return Outcome.start(try run.start(eagerly: eagerly))
            case .image(let method): return Outcome.image(try run.image(method))
            }
        }
        let parameters: [Parameter] = [.threads(clients), .pages(pages), .pin(.none)]
        var starts: [(String, [ServeRun.Start])] = []
        var images: [(String, [ServeRun.Image])] = []
        for (work, outcomes) in zip(works, outcomes) {
            switch work {
            case .start:
                starts.append(
                    (
                        work.variant,
                        outcomes.compactMap { if case .start(let start) = $0 { start } else { nil } }
                    ))
            case .image:
                images.append(
                    (
                        work.variant,
                        outcomes.compactMap { if case .image(let image) = $0 { image } else { nil } }
                    ))
            }
        }
        for (variant, starts) in starts { add(starts, variant, parameters, to: &report) }
        for (variant, images) in images { add(images, variant, parameters, to: &report) }
        compare(clients: clients, pages: pages, &report)
        addCharts(starts, images, clients: clients, to: &report)
    }

    private func add(
        _ starts: [ServeRun.Start], _ variant: String, _ parameters: [Parameter], to report: inout Report
    ) {
        addTime(.firstReply, starts.map { Double($0.firstReply) }, variant, parameters, to: &report)
        addTime(.loaded, starts.map { Double($0.loaded) }, variant, parameters, to: &report)
        func rate(_ of: String, _ value: (ServeRun.Start) -> Double) {
            addRate(of, starts.map(value), variant, parameters, to: &report)
        }
        // In the time that it is about: whole intervals.
        rate("reads while it loads") { start in
            let end = min(Int(Double(start.loaded) / KeyValueClients.interval), start.intervals.count)
            return Self.perSecond(start.intervals.prefix(end), within: Double(start.loaded) / 1e9)
        }
        rate("reads when loaded") { start in
            let rest = start.intervals.dropFirst(Int(Double(start.loaded) / KeyValueClients.interval) + 1)
            return Self.perSecond(rest, within: Double(rest.count) * KeyValueClients.interval / 1e9)
        }
    }

    private func add(
        _ images: [ServeRun.Image], _ variant: String, _ parameters: [Parameter], to report: inout Report
    ) {
        addTime(.longestRequest, images.map(\.times.longest), variant, parameters, to: &report)
        addTime(.rareRequest, images.map { $0.times.quantile(0.999) }, variant, parameters, to: &report)
        if variant != "none" {
            addTime(.image, images.map { Double($0.time) }, variant, parameters, to: &report)
        }
        addRate(
            "requests while it is saved", images.map { Double($0.times.count) / (Double($0.time) / 1e9) },
            variant,
            parameters, to: &report)
    }

    private func addTime(
        _ part: Part, _ values: [Double], _ variant: String, _ parameters: [Parameter],
        to report: inout Report
    ) {
        report.results.append(
            ResultRow(
                scenario: name, variant: variant, parameters: parameters + [.text("of", part.rawValue)],
                metric: .time, values: values))
    }

    private func addRate(
        _ of: String, _ values: [Double], _ variant: String, _ parameters: [Parameter],
        to report: inout Report
    ) {
        report.results.append(
            ResultRow(
                scenario: name, variant: variant, parameters: parameters + [.text("of", of)],
                metric: .throughput, unit: "requests/s", values: values))
    }

    private static func perSecond(_ counts: ArraySlice<Int>, within seconds: Double) -> Double {
        seconds > 0 ? Double(counts.reduce(0, +)) / seconds : 0
    }

    private func compare(clients: Int, pages: Int, _ report: inout Report) {
        let bounds: [(Part, String, Double?)] = [
            (.firstReply, "eager", 0.05), (.longestRequest, "fork", 0.5), (.rareRequest, "fork", nil),
            (.image, "fork", nil),
        ]
        for (part, baseline, bound) in bounds {
            let parameters: [Parameter] = [.threads(clients), .text("of", part.rawValue)]
            let count = report.ratios.count
            report.addRatios(name, "faultline", over: baseline, [.time], parameters: parameters)
            guard report.ratios.count > count, let ratio = report.ratios.last, let bound, pages >= fullSize
            else { continue }
            report.checks.append(
                Check(
                    scenario: name, figure: "\(part.rawValue) (clients \(clients)), faultline / \(baseline)",
                    value: ratio.median, bound: .atMost(bound)))
        }
    }

    private func addCharts(
        _ starts: [(String, [ServeRun.Start])], _ images: [(String, [ServeRun.Image])], clients: Int,
        to report: inout Report
    ) {
        report.charts.append(
            .rates(
                "\(name): replies per second while the image is loaded, clients: \(clients)", scenario: name,
                starts.map { ($0, Chart.middle($1.map(\.intervals))) }, interval: KeyValueClients.interval,
                since: "the start of the program", floor: .absent("how much clients ask is up to them")))
        report.charts.append(
            .rates(
                "\(name): replies per second while an image is taken, clients: \(clients)", scenario: name,
                images.map { ($0, Chart.middle($1.map(\.intervals))) }, interval: KeyValueClients.interval,
                before: ServeRun.Image.leadIn, since: "the command", floor: quiet))
        report.charts.append(
            .latencies(
                "\(name): times of requests while an image is taken, percentiles, clients: \(clients)",
                scenario: name, images.map { ($0, $1.map(\.times.distribution)) }, floor: quiet))
    }
}
