import EventReactor
import Synchronization
import Testing

@Suite("One turn", .timeLimit(.minutes(5)))
struct TurnTests {
    /// A job that enqueues itself until told to stop.
    private final class Spinner: Sendable {
        private let reactor: Reactor
        private let isStopped = Atomic(false)

        init(_ reactor: Reactor) { self.reactor = reactor }

        func spin() {
            guard !isStopped.load(ordering: .relaxed) else { return }
            reactor.execute { self.spin() }
        }

        func stop() { isStopped.store(true, ordering: .relaxed) }
    }

    @Test("A job that enqueues itself for ever starves neither a descriptor nor a timer nor other jobs")
    func fairness() async throws {
        let reactor = try Reactor.start()
        let spinner = Spinner(reactor)
        reactor.execute { spinner.spin() }
        let pipe = Pipe()
        let descriptor = try await reactor.descriptor(pipe.readEnd)
        pipe.write()
        try await descriptor.readable()
        try await reactor.sleep(for: .milliseconds(1))
        #expect(await reactor.run { reactor.isOnLoop })
        spinner.stop()
        await reactor.shutdown()
    }

    @Test("A descriptor that is always ready starves neither jobs nor timers")
    func busyDescriptor() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        pipe.write()
        try await reactor.run { () throws(ReactorError) in
            // Never read, therefore ready in each turn.
            _ = try reactor.addDescriptor(
                pipe.readEnd, name: "busy", interest: .readable, handler: OnReady { _ in })
        }
        try await reactor.sleep(for: .milliseconds(1))
        #expect(await reactor.run { reactor.isOnLoop })
        await reactor.shutdown()
    }

    @Test("Timers that restart themselves at once do not starve jobs")
    func busyTimers() async throws {
        final class Restarting: TimerHandler {
            let reactor: Reactor
            init(_ reactor: Reactor) { self.reactor = reactor }
            func timerFired(_ id: TimerID) { reactor.startTimer(after: .zero, self) }
        }
        let reactor = try Reactor.start()
        await reactor.run { _ = reactor.startTimer(after: .zero, Restarting(reactor)) }
        for _ in 0..<100 { #expect(await reactor.run { reactor.isOnLoop }) }
        await reactor.shutdown()
    }

    @Test(
        "End-of-turn work runs after the callbacks and the jobs they made ready, and again after jobs that schedule it"
    )
    func endOfTurn() async throws {
        let reactor = try Reactor.hosted()
        let log = Log<String>()
        try reactor.turn()
        let pipe = Pipe()
        let afterJobs = AtEndOfTurn { log.append("after jobs") }
        let afterCallbacks = AtEndOfTurn { log.append("after callbacks") }
        let work = LoopBound(afterJobs, on: reactor)
        let handler = OnReady { _ in
            pipe.read()
            log.append("callback")
            reactor.execute {
                log.append("job")
                reactor.scheduleEndOfTurn(work.value)
                reactor.scheduleEndOfTurn(work.value)
            }
            reactor.scheduleEndOfTurn(afterCallbacks)
        }
        try reactor.addDescriptor(pipe.readEnd, name: "pipe", interest: .readable, handler: handler)
        pipe.write()
        try reactor.turn()
        #expect(log.all == ["callback", "job", "after callbacks", "after jobs"])
        await reactor.shutdown()
    }

    @Test("Jobs beyond the budget run in the next turns, in order")
    func jobBudget() async throws {
        var configuration = Reactor.Configuration()
        configuration.jobsPerTurn = 10
        let reactor = try Reactor.hosted(configuration)
        let log = Log<Int>()
        for number in 0..<25 { reactor.execute { log.append(number) } }
        var sizes: [Int] = []
        for _ in 0..<3 {
            try reactor.turn()
            sizes.append(log.count)
        }
        #expect(sizes == [10, 20, 25])
        #expect(log.all == Array(0..<25))
        await reactor.shutdown()
    }

    @Test("The observer sees each turn, with counters that add up")
    func observer() async throws {
        final class Observer: TurnObserver {
            let seen = Log<TurnStatistics>()
            func turnEnded(_ statistics: TurnStatistics) { seen.append(statistics) }
        }
        let observer = Observer()
        var configuration = Reactor.Configuration()
        configuration.turnObserver = observer
        configuration.measuresWaiting = true
        let reactor = try Reactor.hosted(configuration)
        reactor.execute {}
        try reactor.turn()
        try reactor.turn(waiting: .milliseconds(50))
        #expect(observer.seen.all.map(\.turns) == [1, 2])
        #expect(observer.seen.all.last?.jobs == 1)
        #expect(observer.seen.all.last?.timersFired == 1)
        // The thread may be held up between setting the timer and waiting for it.
        #expect((observer.seen.all.last?.waitingNanoseconds ?? 0) >= 10_000_000)
        await reactor.shutdown()
    }
}
