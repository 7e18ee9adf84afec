import EventReactor
import Glibc
import Testing

@Suite("Waiting strategies", .timeLimit(.minutes(5)))
struct WaitingTests {
    /// Long enough for a thread of the test to do its part however busy the machine is.
    private static let long = Duration.seconds(1)

    private func configuration(_ waiting: WaitingStrategy) -> Reactor.Configuration {
        var configuration = Reactor.Configuration(name: "spinning")
        configuration.waiting = waiting
        return configuration
    }

    /// Tells other threads that the loop looks for work.
    private final class Looks: SpinSource, Sendable {
        let count = Count()

        func poll() -> Bool {
            count.increment()
            return false
        }

        /// Waits until the loop has looked. Not for a thread of the pool.
        func waitForFirst(_ reactor: Reactor) {
            var nudge = Nudge()
            while count.value == 0 { nudge.next { reactor.execute {} } }
        }
    }

    /// A loop that did not get the processor for a while has looked in vain and sleeps: then something has to happen for it
    /// to look again.
    private struct Nudge {
        private(set) var count = 0
        private var last = ContinuousClock.now

        mutating func next(_ wake: () -> Void) {
            yieldThread()
            guard ContinuousClock.now - last > .milliseconds(20) else { return }
            wake()
            count += 1
            last = .now
        }
    }

    /// Holds the loop in the middle of its looking, until another thread has done something.
    private final class Rendezvous: SpinSource, Sendable {
        private let looks = Count()
        private let deeds = Count()
        private let isOver = Count()
        private let released: Count?

        init(released: Count? = nil) { self.released = released }

        deinit { released?.increment() }

        func poll() -> Bool {
            guard isOver.value == 0 else { return false }
            looks.increment()
            while deeds.value < looks.value, isOver.value == 0 { yieldThread() }
            return false
        }

        /// Does `body` while the loop looks. Not for a thread of the pool.
        ///
        /// - Returns: how often the loop had to be woken up before it looked.
        @discardableResult
        func whileLooking(_ body: () -> Void, wake: () -> Void) -> Int {
            var nudge = Nudge()
            while looks.value == deeds.value { nudge.next(wake) }
            body()
            deeds.increment()
            return nudge.count
        }

        func end() { isOver.increment() }
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
            for _ in 0..<50 {
                question.write()
                while answer.read() < 1 { yieldThread() }
            }
        }
        let after = await reactor.statistics()
        #expect(after.callbacks - before.callbacks == 50)
        // All of them, unless the machine is so busy that the other thread does not get its turn.
        #expect(after.spins - after.spinsInVain >= 25)
        #expect(after.waits - before.waits < 25)
        #expect(after.spinningNanoseconds > before.spinningNanoseconds)
        await reactor.shutdown()
    }

    @Test("Jobs of other threads run at once while the loop looks, and cost them no system call")
    func jobs() async throws {
        let reactor = try Reactor.start(configuration(.spinning(upTo: Self.long)))
        let before = await reactor.statistics()
        let rendezvous = Rendezvous()
        await reactor.run { reactor.addSpinSource(rendezvous, name: "rendezvous") }
        let done = Count()
        let nudges = Lock(0)
        try await onThread {
            for number in 1...50 {
                let count = rendezvous.whileLooking {
                    reactor.execute { done.increment() }
                } wake: {
                    reactor.execute {}
                }
                nudges.withLock { $0 += count }
                while done.value < number { yieldThread() }
            }
            rendezvous.end()
        }
        let after = await reactor.statistics()
        #expect(after.spins - after.spinsInVain >= 50)
        // The two calls of this task may have come while the loop slept.
        #expect(after.wakeups - before.wakeups <= 2 + nudges.withLock { UInt64($0) })
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
        #expect(statistics.waitingNanoseconds >= 10_000_000)
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
        #if SANITIZED
            let share: Int64 = 5
        #else
            let share: Int64 = 20
        #endif
        #expect(used < 300_000_000 / share)
        await reactor.shutdown()
    }

    @Test("A loop that looks is shut down")
    func shutdown() async throws {
        let reactor = try Reactor.start(configuration(.spinning(upTo: Self.long)))
        let looks = await addLooks(to: reactor)
        try await onThread { looks.waitForFirst(reactor) }
        await reactor.shutdown()
        let count = looks.count.value
        await reactor.run {}
        #expect(looks.count.value == count)
    }

    @Test("The request to stop ends the looking in the middle")
    func letGo() async throws {
        let last = LastTurn()
        var configuration = configuration(.spinning(upTo: Self.long))
        configuration.turnObserver = last
        let released = Count()
        try await onThread { [configuration] in
            var reactor: Reactor? = try Reactor.start(configuration)
            let rendezvous = Rendezvous(released: released)
            reactor?.execute { [weak reactor] in reactor?.addSpinSource(rendezvous, name: "rendezvous") }
            rendezvous.whileLooking {
                reactor = nil
            } wake: {
                reactor?.execute {}
            }
        }
        while released.value == 0 { await Task.yield() }
        #expect(last.statistics.spins >= 1)
        #expect(last.statistics.spinsInVain == 0)
    }

    @Test("A hosted reactor looks inside run() too, until it is shut down")
    func hosted() async throws {
        let reactor = try Reactor.hosted(configuration(.spinning(upTo: Self.long)))
        let running = Task { try await onThread { try reactor.run() } }
        let looks = await addLooks(to: reactor)
        try await onThread { looks.waitForFirst(reactor) }
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
        try await ContinuousClock().sleep(for: .milliseconds(40))
        #expect(await reactor.statistics().spinningNanoseconds >= 5_000_000)
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
