import EventReactor
import Glibc
import Testing

@Suite("Waiting strategies", .timeLimit(.minutes(1)))
struct WaitingTests {
    /// Long enough for a thread of the test to do its part however busy the machine is.
    private static let long = Duration.seconds(1)

    private func configuration(_ waiting: WaitingStrategy) -> Reactor.Configuration {
        var configuration = Reactor.Configuration(name: "spinning")
        configuration.waiting = waiting
        return configuration
    }

    /// Tells other threads that the loop is looking for work at this moment.
    private final class Looks: SpinSource, Sendable {
        let count = Count()

        func poll() -> Bool {
            count.increment()
            return false
        }

        /// Waits until the loop looks. Not for a thread of the pool.
        func waitForNext() {
            // The one that is going on may be over by the time the caller does something.
            let target = count.value + 2
            while count.value < target { yieldThread() }
        }
    }

    private func addLooks(to reactor: Reactor) async -> Looks {
        let looks = Looks()
        await reactor.run { reactor.addSpinSource(looks, name: "looks") }
        return looks
    }

    @Test("What another thread writes to a pipe is found by looking")
    func pipe() async throws {
        let reactor = try Reactor.start(configuration(.spinning(upTo: Self.long)))
        let question = Pipe()
        let answer = Pipe()
        try await reactor.run { () throws(ReactorError) in
            let handler = OnReady { _ in
                question.read()
                answer.write()
            }
            _ = try reactor.addDescriptor(
                question.readEnd, name: "question", interest: .readable, handler: handler)
        }
        let before = await reactor.statistics()
        try await onThread {
            for _ in 0..<200 {
                question.write()
                while answer.read() < 1 { yieldThread() }
            }
        }
        let after = await reactor.statistics()
        #expect(after.callbacks - before.callbacks == 200)
        #expect(after.spins - before.spins >= 200)
        #expect(after.waits - before.waits < 20)
        #expect(after.spinningNanoseconds > before.spinningNanoseconds)
        await reactor.shutdown()
    }

    @Test("Jobs of other threads run at once while the loop looks, and cost them no system call")
    func jobs() async throws {
        let reactor = try Reactor.start(configuration(.spinning(upTo: Self.long)))
        let looks = await addLooks(to: reactor)
        let before = await reactor.statistics()
        let done = Count()
        try await onThread {
            for number in 1...100 {
                looks.waitForNext()
                reactor.execute { done.increment() }
                while done.value < number { yieldThread() }
            }
        }
        let after = await reactor.statistics()
        #expect(after.spins - after.spinsInVain >= 90)
        // None, but for waits that ended just when a busy machine let the other thread go on.
        #expect(after.wakeups - before.wakeups < 10)
        await reactor.shutdown()
    }

    @Test("A timer ends the looking")
    func timer() async throws {
        let last = LastTurn()
        var configuration = configuration(.spinning(upTo: Self.long))
        configuration.turnObserver = last
        let reactor = try Reactor.hosted(configuration)
        try reactor.turn()
        let clock = reactor.clock
        let due = clock.now.advanced(by: .milliseconds(2))
        let fired = Log<ReactorClock.Instant>()
        reactor.startTimer(after: .milliseconds(2), OnTimer { _ in fired.append(clock.now) })
        try reactor.turn(waiting: nil)
        #expect(fired.all.allSatisfy { $0 >= due && $0 < due.advanced(by: .milliseconds(500)) })
        #expect(fired.count == 1)
        #expect(last.statistics.spins == 1)
        #expect(last.statistics.spinsInVain == 0)
        #expect(last.statistics.waits == 0)
        #expect(last.statistics.spinningNanoseconds >= 1_000_000)
        await reactor.shutdown()
    }

    @Test("Looking in vain ends in blocking, and after a few times there is no more looking")
    func inVain() async throws {
        let last = LastTurn()
        var configuration = configuration(.spinning(upTo: .microseconds(100)))
        configuration.turnObserver = last
        configuration.measuresWaiting = true
        let reactor = try Reactor.hosted(configuration)
        for _ in 0..<20 { try reactor.turn(waiting: .milliseconds(5)) }
        let statistics = last.statistics
        #expect(statistics.spinsInVain >= 1)
        #expect(statistics.spins <= 4)
        #expect(statistics.waits >= 16)
        #expect(statistics.spinningNanoseconds >= 100_000)
        #expect(statistics.waitingNanoseconds >= 16 * 4_000_000)
        await reactor.shutdown()
    }

    @Test("A reactor with nothing to do, or little, leaves the processor alone", arguments: [300, 5])
    func idle(period: Int) async throws {
        // A thread's own time, not the clock's: it does not depend on what else the machine does.
        @Sendable func processorTime() -> Int64 {
            var time = timespec()
            unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
        let reactor = try Reactor.start(configuration(.spinning(upTo: .microseconds(500))))
        let before = await reactor.run { processorTime() }
        for _ in 0..<300 / period { try await reactor.sleep(for: .milliseconds(period)) }
        let used = await reactor.run { processorTime() } - before
        #expect(used < 300_000_000 / 20)
        await reactor.shutdown()
    }

    @Test("Shutdown ends the looking")
    func shutdown() async throws {
        let last = LastTurn()
        var configuration = configuration(.spinning(upTo: Self.long))
        configuration.turnObserver = last
        let reactor = try Reactor.start(configuration)
        let looks = await addLooks(to: reactor)
        try await onThread { looks.waitForNext() }
        await reactor.shutdown()
        #expect(last.statistics.spins >= 1)
        #expect(last.statistics.spinsInVain == 0)
    }

    @Test("A hosted reactor looks inside run() too, until it is shut down")
    func hosted() async throws {
        let reactor = try Reactor.hosted(configuration(.spinning(upTo: Self.long)))
        let running = Task { try await onThread { try reactor.run() } }
        let looks = await addLooks(to: reactor)
        try await onThread { looks.waitForNext() }
        #expect(await reactor.run { reactor.isOnLoop })
        await reactor.shutdown()
        try await running.value
    }

    @Test("Looking for work is no stall")
    func stall() async throws {
        let reports = Log<StallReport>()
        var configuration = configuration(.spinning(upTo: Self.long))
        configuration.stallThreshold = .milliseconds(5)
        configuration.onStall = { reports.append($0) }
        let reactor = try Reactor.start(configuration)
        let looks = await addLooks(to: reactor)
        try await onThread {
            let end = ContinuousClock.now + .milliseconds(40)
            while ContinuousClock.now < end { looks.waitForNext() }
        }
        await reactor.shutdown()
        #expect(!reports.all.contains { $0.activity == "idle" })
    }

    @Test("By default nothing is looked for, and nothing measured")
    func blocking() async throws {
        #expect(Reactor.Configuration().waiting == .blocking)
        #expect(WaitingStrategy.spinning(upTo: .zero) == .blocking)
        #expect(WaitingStrategy.spinning(upTo: .seconds(-1)) == .blocking)
        #expect(WaitingStrategy.spinning(upTo: .seconds(1000)) == .spinning(upTo: .seconds(1)))
        let reactor = try Reactor.start()
        let looks = await addLooks(to: reactor)
        try await reactor.sleep(for: .milliseconds(1))
        let statistics = await reactor.statistics()
        #expect(looks.count.value == 0)
        #expect(statistics.spins == 0)
        #expect(statistics.spinningNanoseconds == 0)
        #expect(statistics.waits > 0)
        await reactor.shutdown()
    }

    @Test("An attached reactor leaves the waiting to its host")
    func attached() async throws {
        try await onThread {
            let last = LastTurn()
            var configuration = configuration(.spinning(upTo: Self.long))
            configuration.turnObserver = last
            let host = try HostLoop()
            let reactor = try host.attach(configuration)
            let fired = Count()
            reactor.startTimer(after: .milliseconds(1), OnTimer { _ in fired.increment() })
            host.run { fired.value == 1 }
            #expect(last.statistics.timersFired == 1)
            #expect(last.statistics.spins == 0)
            try reactor.detach()
        }
    }
}
