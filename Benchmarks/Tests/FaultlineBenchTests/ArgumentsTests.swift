import Testing

@testable import FaultlineBench

@Suite struct ArgumentsTests {
    private let known = ["roundtrip", "threads"]

    private func parse(_ words: String...) throws(UsageError) -> Arguments {
        try Arguments.parse(words, knownScenarios: known)
    }

    @Test func nothingAsksForTheTour() throws {
        let arguments = try parse()
        #expect(arguments == Arguments())
        #expect(arguments.scenarios.isEmpty)
        #expect(arguments.pin == .same)
    }

    @Test func everythingAtOnce() throws {
        let arguments = try parse(
            "threads", "--pages", "100", "--threads=1,64", "--runs", "5", "--pin", "cross", "--format=json",
            "--output", "a.html", "roundtrip", "--file", "b", "--variants", "c-read,c-epoll")
        #expect(arguments.scenarios == ["threads", "roundtrip"])
        #expect(arguments.pages == 100)
        #expect(arguments.threads == [1, 64])
        #expect(arguments.runs == 5)
        #expect(arguments.pin == .cross)
        #expect(arguments.format == .json)
        #expect(arguments.output == "a.html")
        #expect(arguments.file == "b")
        #expect(arguments.variants == ["c-read", "c-epoll"])
    }

    @Test(arguments: [
        ["--pages"], ["--pages", "0"], ["--pages", "x"], ["--threads", "1,,2"], ["--threads", ""],
        ["--runs", "-1"], ["--pin", "both"], ["--format", "xml"], ["--output", ""], ["--nothing"],
        ["nothing"],
        ["--help=yes"],
    ])
    func badOnesAreRefusedWithASentence(words: [String]) {
        let error = #expect(throws: UsageError.self) { try Arguments.parse(words, knownScenarios: known) }
        #expect(error?.description.hasSuffix(".") == true)
    }

    @Test func actionsWinOverScenarios() throws {
        #expect(try parse("roundtrip", "--list").action == .list)
        #expect(try parse("--help").action == .help)
        #expect(try parse("--version").action == .version)
    }
}
