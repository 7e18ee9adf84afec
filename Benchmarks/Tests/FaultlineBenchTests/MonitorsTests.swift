import Glibc
import Testing

@testable import FaultlineBench

/// The example server of monitors, and stand-ins for them.
@Suite(.timeLimit(.minutes(5))) struct MonitorsTests {
    private func paths() throws -> [String] {
        try ExamplePrograms(folder: nil).paths(["lazy-restore", "monitor-stand-in"])
    }

    @Test func everyPageOfEveryMonitorIsCounted() throws {
        let run = try MonitorsRun(try paths(), mebibytes: 8)
        for (count, seed) in [(1, 1), (7, 1000), (7, 2000)] {
            let result = try run.measure(monitors: count, pages: 700, seed: seed)
            #expect(result.pages == 700)
            #expect(result.ends.count == count)
            #expect(result.ends == result.ends.sorted())
            #expect(result.ends.first ?? 0 > 0)
            #expect(result.elapsed == result.ends.last)
            #expect(result.unfairness >= 1)
            // And the page that each has at the gate; pages that were read ahead are not asked for.
            #expect(result.messages > 0 && result.messages <= 700 + count)
            #expect(zip(result.medians, result.p99s).allSatisfy { $0 > 0 && $0 <= $1 })
        }
        try run.end()
    }

    @Test func wrongContentsAreFoundOut() throws {
        let paths = try paths()
        let folder = try WorkFolder(room: 64 << 20)
        // Makes an image most of which is zero; monitors know what it should be.
        let liar = folder.path + "/liar"
        let script = """
            #!/bin/sh
            [ "$1" = --make-image ] || exec '\(paths[1])' "$@"
            '\(paths[1])' "$@" && dd if=/dev/zero of="$2" bs=4096 count=1000 conv=notrunc 2>/dev/null

            """
        try System.save(script, to: liar)
        #expect(unsafe chmod(liar, 0o700) == 0)
        let run = try MonitorsRun([paths[0], liar], mebibytes: 4)
        let error = #expect(throws: RunError.self) { try run.measure(monitors: 1, pages: 10, seed: 1) }
        #expect("\(error.map { $0.description } ?? "")".hasPrefix("A monitor has found wrong contents."))
    }

    @Test func reportsAreRead() {
        #expect(
            MonitorsRun.fields("{\"touched\":3,\"wrong\":0,\"seconds\":0.5,\"end\":12345678901}")
                == ["touched": 3, "wrong": 0, "end": 12_345_678_901])
        #expect(MonitorsRun.fields("ready").isEmpty)
    }

    @Test func linesComeWhole() throws {
        let pipe = try LinePipe()
        let text = "one\ntwo\n\nthr"
        #expect(unsafe write(pipe.writing, text, text.utf8.count) == text.utf8.count)
        #expect(pipe.line(within: 1000) == "one")
        #expect(pipe.line(within: 1000) == "two")
        #expect(pipe.line(within: 1000) == "")
        #expect(pipe.line(within: 1) == nil)
        #expect(unsafe write(pipe.writing, "ee\n", 3) == 3)
        pipe.closeWriting()
        #expect(pipe.line(within: 1000) == "three")
        #expect(pipe.line(within: 1000) == nil)
    }

    @Test func theScenarioReportsFiguresAndPlots() async throws {
        var arguments = Arguments()
        arguments.scenarios = ["monitors"]
        arguments.pages = 900
        arguments.threads = [1, 9]
        arguments.runs = 1
        let context = Context(arguments: arguments, placement: try Placement(.none))
        var report = Report(machine: Machine(access: .probe()))
        try await MonitorsScenario().run(context, into: &report)
        for count in [1, 9] {
            for metric in [Metric.latency, .throughput, .slowestToMedian, .messagesPerFault] {
                let row = report.result("monitors", "faultline", metric, [.number("monitors", count)])
                #expect((row?.median ?? 0) > 0, "\(metric)")
            }
        }
        #expect(report.checks.isEmpty, "bounds are for the full size")
        #expect(report.html.contains("monitors that had touched all their pages"))
        #expect(report.text.contains("slowest / median"))
    }
}
