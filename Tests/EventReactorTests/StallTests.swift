import EventReactor
import Glibc
import Testing

@Suite("Stall detector", .timeLimit(.minutes(5)))
struct StallTests {
    /// A reactor with a detector, and what it reports.
    private func makeReactor() throws -> (reactor: Reactor, reports: Log<StallReport>) {
        let reports = Log<StallReport>()
        var configuration = Reactor.Configuration(name: "stalling")
        configuration.stallThreshold = .milliseconds(5)
        configuration.onStall = { reports.append($0) }
        return (try Reactor.start(configuration), reports)
    }

    /// The reports about one activity.
    private func reports(_ log: Log<StallReport>, about activity: String) -> [StallReport] {
        log.all.filter { $0.activity == activity }
    }

    @Test(
        "A handler that blocks is named while it blocks, with the place in the kernel, and again at its end")
    func source() async throws {
        let (reactor, log) = try makeReactor()
        let pipe = Pipe()
        let blocker = Pipe()
        let ended = Gate()
        try await reactor.run { () throws(ReactorError) in
            let handler = OnReady { _ in
                pipe.read()
                // A blocking read in a handler: the mistake that the detector is for.
                _ = fcntl(blocker.readEnd, F_SETFL, 0)
                blocker.read()
                ended.open()
            }
            _ = try reactor.addDescriptor(
                pipe.readEnd, name: "slow source", interest: .readable, handler: handler)
        }
        pipe.write()
        while reports(log, about: "slow source").isEmpty { await Task.yield() }
        let ongoing = try #require(reports(log, about: "slow source").first)
        #expect(ongoing.isOngoing)
        #expect(ongoing.duration >= .milliseconds(5))
        #expect(!ongoing.waitsForPageFault)
        blocker.write()
        await ended.wait()
        while !reports(log, about: "slow source").contains(where: { !$0.isOngoing }) { await Task.yield() }
        let final = try #require(reports(log, about: "slow source").last)
        #expect(final.duration >= ongoing.duration)
        await reactor.shutdown()
    }

    @Test("Named activities, jobs and end-of-turn work are told apart")
    func names() async throws {
        let (reactor, log) = try makeReactor()
        let activity = reactor.registerActivity("handler of the test")
        await reactor.run { reactor.asActivity(activity) { _ = usleep(20_000) } }
        await reactor.run { _ = usleep(20_000) }
        await reactor.run {
            final class SlowWork: EndOfTurnWork {
                func endOfTurn() { usleep(20_000) }
            }
            reactor.scheduleEndOfTurn(SlowWork())
        }
        for name in ["handler of the test", "job", "end of turn: SlowWork"] {
            while reports(log, about: name).isEmpty { await Task.yield() }
        }
        reactor.unregisterActivity(activity)
        await reactor.shutdown()
    }

    @Test("An idle loop is no stall, and a report reads well")
    func quiet() async throws {
        let (reactor, log) = try makeReactor()
        try await reactor.sleep(for: .milliseconds(40))
        #expect(!log.all.contains { $0.activity == "idle" })
        await reactor.shutdown()
        #expect(reactor.registerActivity("named") != nil)
    }

    @Test("Without a threshold there is no detector")
    func none() async throws {
        let reactor = try Reactor.start()
        #expect(reactor.registerActivity("anything") == nil)
        await reactor.shutdown()
    }
}
