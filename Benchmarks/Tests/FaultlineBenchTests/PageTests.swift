import Testing

@testable import FaultlineBench

/// The page shows each scenario as a plot with its baseline and its floor. One after the other: a process has one handler of SIGBUS.
@Suite(.serialized, .timeLimit(.minutes(5))) struct PageTests {
    private func report(_ scenario: any Scenario) async throws -> Report {
        var arguments = Arguments()
        arguments.scenarios = [scenario.name]
        arguments.pages = 512
        arguments.runs = 1
        arguments.file = "/proc/self/exe"
        let context = Context(arguments: arguments, placement: try Placement(.same))
        var report = Report(machine: Machine(access: UserfaultAccess.probe()))
        try await scenario.run(context, into: &report)
        return report
    }

    @Test(.enabled(if: UserfaultAccess.probe().isOpen), arguments: Scenarios.all.map(\.name))
    func everyPlotHasABaselineAndAFloorOrSaysWhyNot(name: String) async throws {
        let scenario = try #require(Scenarios.all.first { $0.name == name })
        let report = try await report(scenario)
        #expect(!report.charts.isEmpty)
        var hasFloor = false
        for chart in report.charts {
            #expect(chart.scenario == name)
            #expect(chart.names.contains(where: Chart.isBaseline), "no baseline: \(chart.title)")
            switch chart.floor {
            case .line(let value, let meaning):
                #expect(value.isFinite && value > 0 && !meaning.isEmpty, "\(chart.title)")
                hasFloor = true
            case .drawn(let floor, let meaning):
                #expect(chart.names.contains { $0.hasPrefix(floor) } && !meaning.isEmpty, "\(chart.title)")
                hasFloor = true
            case .absent(let reason): #expect(!reason.isEmpty, "\(chart.title)")
            case nil: Issue.record("neither a floor nor a reason: \(chart.title)")
            }
            let sentence = try #require(chart.floor).sentence
            #expect(report.html.contains(HTML.escape(sentence)))
        }
        #expect(hasFloor, "no plot of \(name) has a floor")
    }

    @Test(.enabled(if: UserfaultAccess.probe().isOpen)) func aHandlerOfSIGBUSServesEveryPage() async throws {
        try await MeasuringTests.checkThatEveryPageIsServed(.signal)
    }

    @Test func aFloorIsDrawnWhereItIsEvenBeyondAllBars() throws {
        let bars = [Chart.Bar(label: "c-x", isBaseline: true, value: 50, low: 50, high: 50)]
        func chart(_ floor: Floor?) -> String {
            SVG.draw(
                Chart(
                    scenario: "s", title: "t", kind: .bars(bars, isTime: true, unit: "ns"), floor: floor))
        }
        // Names have 120 units of room and values 140, of 760.
        #expect(chart(.line(25, "half")).contains("<path class=\"l\" d=\"M370.0 2V40.0\"/>"))
        #expect(chart(.line(100, "twice")).contains("<path class=\"l\" d=\"M620.0 2V40.0\"/>"))
        #expect(chart(.line(25, "a < b")).contains("Dashed, the floor: a &lt; b."))
        for floor in [nil, Floor.absent("it has no end"), .drawn("c-x", "C")] {
            #expect(!chart(floor).contains("class=\"l\""))
        }
    }

    @Test func nobodyWhoLeavesTheFloorOutIsShownOne() async throws {
        var arguments = Arguments()
        arguments.variants = ["c-epoll"]
        let context = Context(arguments: arguments, placement: try Placement(.none))
        var report = Report(machine: Machine(access: UserfaultAccess.probe()))
        let source = try Contents(pages: 4, seed: 1)
        let floor = try await CopyFloor.measure(
            for: "s", source, pages: 4, pagesPerCall: 1, context.placement, context, into: &report)
        #expect(report.results.isEmpty)
        if case .absent = floor.time() {} else { Issue.record("a floor that nobody measured") }
    }
}
