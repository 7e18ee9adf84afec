import Testing

@testable import FaultlineStress

@Suite struct OptionsTests {
    @Test func nothingAsksForAMinuteOverAllBackings() throws {
        let options = try Options.parse([])
        #expect(options.backings == Backing.allCases)
        #expect(options.goal.time == .seconds(60) / Backing.allCases.count)
        #expect(options.goal.bounces == 20)
    }

    @Test func everythingAtOnce() throws {
        let options = try Options.parse([
            "--minutes=2", "--bounces", "30", "--backing", "huge,anonymous,huge", "--mib", "8", "--threads=3",
            "--seed", "9",
        ])
        #expect(options.backings == [.huge, .anonymous])
        #expect(options.goal.time == .seconds(60))
        #expect(options.goal.bounces == 30)
        #expect(options.mebibytes == 8)
        #expect(options.threads == 3)
        #expect(options.seed == 9)
    }

    @Test func bouncesAloneAskForNoTime() throws {
        #expect(try Options.parse(["--bounces", "2"]).goal == (.zero, 2))
    }

    @Test(arguments: [
        ["--seconds"], ["--seconds", "0"], ["--minutes", "x"], ["--backing", "disk"], ["--backing", ""],
        ["--mib", "3"], ["--threads", "-1"], ["--nothing"], ["word"],
    ])
    func badOnesAreRefusedWithASentence(words: [String]) {
        let error = #expect(throws: UsageError.self) { try Options.parse(words) }
        #expect(error?.description.hasSuffix(".") == true)
    }
}
