import Glibc
import Testing

@testable import FaultlineBench

/// The example server as a program, with small images.
@Suite(.timeLimit(.minutes(5))) struct ServeTests {
    private func makeRun(keys: Int, clients: Int) throws -> ServeRun {
        let server = try ExamplePrograms(folder: nil).paths(["snapshot-server"])[0]
        return ServeRun(
            server: server, folder: try WorkFolder(room: 256 << 20),
            load: KeyValueLoad(keys: keys, clients: clients, seed: 77, writePercent: 90))
    }

    @Test(arguments: [1, 3]) func everyReplyAndEveryImageIsChecked(clients: Int) async throws {
        let run = try makeRun(keys: 1000, clients: clients)
        try run.prepare()
        for eagerly in [false, true] {
            let start = try run.start(eagerly: eagerly)
            #expect(start.firstReply > 0)
            #expect(start.loaded >= start.firstReply)
            #expect(start.intervals.reduce(0, +) > 100)
        }
        for method in ServeRun.Method.allCases {
            let image = try run.image(method)
            #expect(image.time > 0)
            #expect(image.times.count >= UInt64(2 * clients))
            #expect(image.times.longest >= image.times.quantile(0.5))
        }
        // The image that it began with is as it was.
        #expect(try run.start(eagerly: true).firstReply > 0)
    }

    @Test func whatIsNotAsRequestsHaveLeftItIsFoundOut() throws {
        let folder = try WorkFolder(room: 64 << 20)
        let path = try ExamplePrograms(folder: nil).paths(["snapshot-server"])[0]
        let socket = folder.path + "/socket"
        let program = try Program(
            path, ["--image", folder.path + "/image", "--unix", socket, "--memory", "8m"],
            errors: folder.path + "/errors")
        let load = KeyValueLoad(keys: 100, clients: 2, seed: 3, writePercent: 100)
        try load.populate(socket, program)
        try load.verify(socket, program, after: [0...0, 0...0])
        let clients = try KeyValueClients(load, of: socket, program, origin: System.now)
        try clients.waitFor(replies: 500)
        try clients.stop()
        let replies = clients.replies
        try load.verify(socket, program, after: replies.map { $0...$0 })
        // Later than it can be, and earlier; and what nobody has set.
        for wrong in [replies.map { $0 - 1...$0 - 1 }, replies.map { $0 + 50...$0 + 50 }] {
            #expect(throws: RunError.self) { try load.verify(socket, program, after: wrong) }
        }
        #expect(try KeyValue.call(socket, "SET key:00000007 x", of: program) == "+OK")
        #expect(throws: RunError.self) { try load.verify(socket, program, after: replies.map { $0...$0 }) }
        // Requests get to that key before long.
        let others = try KeyValueClients(load.reading, of: socket, program, origin: System.now)
        #expect(throws: RunError.self) {
            try others.waitFor(replies: 100_000)
        }
        program.signal(SIGTERM)
        try program.endWell()
    }

    @Test func aProgramThatEndsIsNotWaitedFor() throws {
        let folder = try WorkFolder(room: 1 << 20)
        let path = try ExamplePrograms(folder: nil).paths(["snapshot-server"])[0]
        let program = try Program(
            path, ["--image", folder.path, "--unix", folder.path + "/socket"], errors: folder.path + "/errors"
        )
        let load = KeyValueLoad(keys: 10, clients: 1, seed: 1, writePercent: 0)
        let error = #expect(throws: RunError.self) { try load.populate(folder.path + "/socket", program) }
        #expect("\(error.map { $0.description } ?? "")".contains("It said: snapshot-server: "))
        #expect(try program.end().status == 1)
    }

    @Test func theScenarioReportsFiguresAndPlots() async throws {
        var arguments = Arguments()
        arguments.scenarios = ["serve"]
        arguments.pages = 600
        arguments.runs = 1
        let context = Context(arguments: arguments, placement: try Placement(.none))
        var report = Report(machine: Machine(access: .probe()))
        try await ServeScenario().run(context, into: &report)
        let parts: [(String, String)] = [
            ("faultline", "first reply"), ("eager", "first reply"), ("faultline", "loaded"),
            ("faultline", "longest request"), ("fork", "longest request"), ("none", "longest request"),
            ("faultline", "image"), ("fork", "image"),
        ]
        for (variant, part) in parts {
            let row = report.result("serve", variant, .time, [.text("of", part), .pages(600)])
            #expect((row?.median ?? 0) > 0, "\(variant), \(part)")
        }
        #expect(report.ratios.count == 4)
        #expect(report.checks.isEmpty, "bounds are for the full size")
        #expect(report.charts.count { if case .lines = $0.kind { true } else { false } } == 3)
        #expect(report.html.contains("serve: replies per second while the image is loaded"))
    }

    @Test func programsThatAreMissingAreNamed() async throws {
        var arguments = Arguments()
        arguments.examples = "/nowhere"
        var report = Report(machine: Machine(access: .probe()))
        // In a tour there is the rest; whoever has asked for it is told.
        let tour = Context(arguments: arguments, placement: try Placement(.none))
        try await ServeScenario().run(tour, into: &report)
        #expect(report.results.isEmpty)
        arguments.scenarios = ["serve"]
        let context = Context(arguments: arguments, placement: try Placement(.none))
        let error = await #expect(throws: RunError.self) {
            try await ServeScenario().run(context, into: &report)
        }
        #expect(
            "\(error.map { $0.description } ?? "")".contains("'snapshot-server' is not in /nowhere: build it")
        )
    }

    @Test func ratesAreDrawnFromIntervals() throws {
        #expect(Chart.middle([[1, 5], [3, 7, 9], [2, 6, 8]]) == [2, 6, 8.5])
        #expect(Chart.middle([]) == [])
        let chart = Chart.rates(
            "t", scenario: "s", [("a", [Double](repeating: 2, count: 300)), ("b", [4])], interval: 1e7,
            before: 30, since: "now", floor: .absent("it is a test"))
        guard case .lines(let series, let x, let y, _) = chart.kind else {
            Issue.record("no lines")
            return
        }
        #expect(series[0].points.count == 150)
        #expect(series[0].points.allSatisfy { $0.y == 200 })
        #expect(series[1].points.map(\.y) == [400])
        #expect(x.map(\.label) == ["-300.00 ms", "450.00 ms", "1.20 s", "1.95 s", "2.70 s"])
        #expect(y.last?.label == "400")
    }
}
