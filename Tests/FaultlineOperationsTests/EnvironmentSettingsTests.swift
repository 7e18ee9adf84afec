import EventReactor
import Faultline
import FaultlineOperations
import Testing

@Suite struct EnvironmentSettingsTests {
    @Test func `what is set is taken, what is not keeps its default`() throws {
        let settings = try EnvironmentSettings([
            "FAULTLINE_WAKE_POLICY": "end-of-turn", "FAULTLINE_GATHER_DELAY": "150us",
            "FAULTLINE_MESSAGES_PER_READ": "16", "FAULTLINE_READS_PER_TURN": "2",
            "FAULTLINE_RESOLUTION": "in-thread", "FAULTLINE_MEASURES_LATENCY": "true",
            "FAULTLINE_READ_AHEAD": "512KiB", "FAULTLINE_MAXIMUM_REQUEST_PAGES": "32",
            "FAULTLINE_FAILURE_POLICY": "retry:7", "FAULTLINE_HUGE_PAGES": "yes", "FAULTLINE_SPIN": "50us",
            "FAULTLINE_STALL_THRESHOLD": "1s", "PATH": "/bin",
        ])
        #expect(settings.pager.wakePolicy == .endOfTurn)
        #expect(settings.pager.gatherDelay == .microseconds(150))
        #expect(settings.pager.messagesPerRead == 16 && settings.pager.readsPerTurn == 2)
        #expect(settings.pager.resolution == .inThread && settings.pager.measuresLatency)
        #expect(settings.region.readAhead == .adaptive(upTo: 512 << 10))
        #expect(settings.region.maximumRequestPages == 32 && settings.region.usesHugePages)
        #expect(settings.region.failurePolicy == .retry(limit: 7))
        #expect(settings.reactor.waiting == .spinning(upTo: .microseconds(50)))
        #expect(settings.reactor.stallThreshold == .seconds(1))

        let untouched = try EnvironmentSettings(["APP_SPIN": "x"], region: RegionOptions(name: "mine"))
        #expect(untouched.region.name == "mine" && untouched.pager.messagesPerRead == 64)
        #expect(try EnvironmentSettings(["APP_SPIN": "0"], prefix: "APP_").reactor.waiting == .blocking)
    }

    @Test(arguments: EnvironmentSettings.Variable.allCases)
    func `what cannot be is refused, with what can`(variable: EnvironmentSettings.Variable) {
        let bad = ["", " 1", "-1", "1e3", "99999999999999999999", "5", "ms", "1000000d", "retry:", "retry:0"]
        for value in bad {
            // A number alone is right for some.
            if value == "5",
                ["MESSAGES_PER_READ", "READS_PER_TURN", "READ_AHEAD", "MAXIMUM_REQUEST_PAGES"]
                    .contains(variable.rawValue)
            {
                continue
            }
            let name = "FAULTLINE_" + variable.rawValue
            let error = #expect(throws: SettingError.self) { try EnvironmentSettings([name: value]) }
            #expect(error?.name == name && error?.value == value && error?.isUnknown == false)
            #expect(error?.description.hasPrefix("\(name) is \"\(value)\"; it must be ") == true)
        }
    }

    @Test func `a misspelt setting is refused`() {
        let error = #expect(throws: SettingError.self) {
            try EnvironmentSettings(["FAULTLINE_WAKEPOLICY": "adaptive"])
        }
        #expect(error?.isUnknown == true && error?.expected.contains("FAULTLINE_WAKE_POLICY") == true)
    }
}
