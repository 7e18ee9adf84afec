import EventReactor
import Faultline
import FaultlineOperations
import FaultlineTestKit
import Testing
import Userfault

@Suite struct MetricsPageTests {
    @Test func `samples of one name stand together below their header`() {
        var page = MetricsPage()
        page.add("a_total", .counter, help: "One.", labels: ["x": "1"], value: 1)
        page.add("b", .gauge, help: "Two.", value: 2.5)
        page.add("a_total", .counter, help: "ignored", labels: ["x": "2"], value: 3)
        #expect(
            page.text == """
                # HELP a_total One.
                # TYPE a_total counter
                a_total{x="1"} 1
                a_total{x="2"} 3
                # HELP b Two.
                # TYPE b gauge
                b 2.5

                """)
    }

    @Test func `names are cleaned and values escaped`() {
        var page = MetricsPage()
        page.add("9a-ü", .gauge, help: "a\\b\nc", labels: ["l ": "\"\\\n"], value: -.infinity)
        #expect(
            page.text == "# HELP _a__ a\\\\b\\nc\n# TYPE _a__ gauge\n_a__{l_=\"\\\"\\\\\\n\"} -Inf\n")
    }

    @Test(.requiresUserfaultfd) func `what a pager counts is on the page, with its latencies`() async throws {
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor, configuration: .init(measuresLatency: true))
        let region = try await pager.map(byteCount: 8 * SystemPage.size, handler: ZeroFillHandler())
        let thread = FaultingThread {
            (0..<8).allSatisfy { region.load(fromByteOffset: $0 * region.pageSize, as: UInt8.self) == 0 }
        }
        #expect(await thread.value)
        var page = MetricsPage()
        page.add(await pager.statistics, latencies: await pager.latencies, pager: "p")
        page.add(await reactor.statistics(), reactor: "r")
        let lines = page.text.split(separator: "\n").map(String.init)
        #expect(lines.contains("faultline_messages_total{pager=\"p\"} 8"))
        #expect(lines.contains("faultline_ioctls_total{pager=\"p\",ioctl=\"zeropage\"} 8"))
        #expect(lines.contains("faultline_pages_present{pager=\"p\"} 8"))
        for stage in ["queue", "store", "ioctls"] {
            #expect(lines.contains("faultline_stage_seconds_count{pager=\"p\",stage=\"\(stage)\"} 8"))
            #expect(
                lines.contains("faultline_stage_seconds_bucket{pager=\"p\",stage=\"\(stage)\",le=\"+Inf\"} 8")
            )
        }
        #expect(lines.contains { $0.hasPrefix("faultline_reactor_turns_total{reactor=\"r\"} ") })
        // Every sample stands below the header of its name, and each header once.
        #expect(Set(lines.filter { $0.hasPrefix("# TYPE") }).count == lines.count { $0.hasPrefix("# TYPE") })
        await pager.shutdown()
        await reactor.shutdown()
    }
}
