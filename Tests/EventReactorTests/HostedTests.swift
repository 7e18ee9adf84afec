import EventReactor
import Testing

@Suite("Driven by the host", .timeLimit(.minutes(5)))
struct HostedTests {
    @Test("run() serves until shutdown, on the thread that called it")
    func run() async throws {
        let reactor = try Reactor.hosted()
        let returned = Gate()
        let thread = TestThread {
            do {
                try reactor.run()
                returned.open()
            } catch {
                Issue.record(error)
            }
        }
        #expect(await reactor.run { reactor.isOnLoop })
        #expect(throws: ReactorError.self) { try reactor.run() }
        try await reactor.sleep(for: .milliseconds(1))
        await reactor.shutdown()
        await returned.wait()
        thread.join()
        #expect(throws: ReactorError.shutDown) { try reactor.run() }
        #expect(throws: ReactorError.shutDown) { try reactor.turn() }
    }

    @Test("turn(waiting:) returns after the time, or earlier if something happened")
    func turns() throws {
        let reactor = try Reactor.hosted()
        let clock = ContinuousClock()
        let waited = try clock.measure { try reactor.turn(waiting: .milliseconds(5)) }
        #expect(waited >= .milliseconds(4))
        let done = Count()
        let thread = TestThread { reactor.execute { done.increment() } }
        while done.value == 0 { try reactor.turn(waiting: nil) }
        thread.join()
    }

    @Test("Jobs enqueued before the first turn are kept for it")
    func before() throws {
        let reactor = try Reactor.hosted()
        let done = Count()
        reactor.execute { done.increment() }
        #expect(done.value == 0)
        try reactor.turn()
        #expect(done.value == 1)
    }

    @Test("Only a hosted reactor is driven by its host, and not from within")
    func misuse() async throws {
        let own = try Reactor.start()
        #expect(throws: ReactorError.self) { try own.turn() }
        await own.shutdown()
        let hosted = try Reactor.hosted()
        hosted.execute {
            do throws(ReactorError) {
                try hosted.turn()
                Issue.record("a turn within a turn")
            } catch {
                #expect(error.code == .alreadyDriven)
            }
        }
        try hosted.turn()
        await hosted.shutdown()
    }
}
