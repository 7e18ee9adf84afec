import EventReactor
import Synchronization
import Testing

@Suite("Timers", .timeLimit(.minutes(5)))
struct TimerTests {
    // A sanitizer makes everything some ten times slower.
    #if SANITIZED
        let latenessBound = Duration.milliseconds(2)
    #else
        let latenessBound = Duration.microseconds(100)
    #endif

    @Test("One-millisecond timers are at most 100 microseconds late at the median")
    func lateness() async throws {
        let reactor = try Reactor.start()
        // Other tests share the machine: the best of a few rounds shows what the timers can do.
        var best = Duration.seconds(1)
        for _ in 0..<5 where best > latenessBound {
            let median = try await Task(executorPreference: reactor) {
                let clock = reactor.clock
                var lateness: [Duration] = []
                for _ in 0..<200 {
                    let due = clock.now.advanced(by: .milliseconds(1))
                    try await clock.sleep(until: due)
                    lateness.append(due.duration(to: clock.now))
                }
                return lateness.sorted()[100]
            }.value
            best = min(best, median)
        }
        #expect(best <= latenessBound)
        #expect(best >= .zero, "no timer fires early")
        await reactor.shutdown()
    }

    @Test("Timers fire in the order of their deadlines; a cancelled one does not")
    func orderAndCancel() async throws {
        let reactor = try Reactor.start()
        let log = Log<Int>()
        let done = Gate()
        await reactor.run {
            reactor.startTimer(after: .milliseconds(6), OnTimer { _ in done.open() })
            reactor.startTimer(after: .milliseconds(4), OnTimer { _ in log.append(4) })
            reactor.startTimer(after: .milliseconds(2), OnTimer { _ in log.append(2) })
            let cancelled = reactor.startTimer(after: .milliseconds(1), OnTimer { _ in log.append(1) })
            #expect(reactor.cancelTimer(cancelled))
            #expect(!reactor.cancelTimer(cancelled))
        }
        await done.wait()
        #expect(log.all == [2, 4])
        await reactor.shutdown()
    }

    @Test("The kernel timer is set for a new earliest deadline only, once per turn")
    func arming() async throws {
        let observer = LastTurn()
        var configuration = Reactor.Configuration()
        configuration.turnObserver = observer
        let reactor = try Reactor.hosted(configuration)
        try reactor.turn()
        let nothing = OnTimer { _ in }
        for _ in 0..<10 { reactor.startTimer(after: .seconds(100), nothing) }
        let soon = reactor.startTimer(after: .seconds(50), nothing)
        try reactor.turn()
        reactor.cancelTimer(soon)
        reactor.startTimer(after: .seconds(60), nothing)
        try reactor.turn()
        try reactor.turn()
        #expect(observer.statistics.timersArmed == 1)
        await reactor.shutdown()
    }

    @Test("A handler may start and cancel timers, and its own cancel finds it spent")
    func insideHandler() async throws {
        let reactor = try Reactor.start()
        let log = Log<String>()
        let done = Gate()
        await reactor.run {
            let victim = reactor.startTimer(after: .seconds(50), OnTimer { _ in log.append("victim") })
            let first = OnTimer { id in
                log.append("first \(reactor.cancelTimer(id)) \(reactor.cancelTimer(victim))")
                reactor.startTimer(after: .zero, OnTimer { _ in done.open() })
            }
            reactor.startTimer(after: .microseconds(50), first)
        }
        await done.wait()
        #expect(log.all == ["first false true"])
        await reactor.shutdown()
    }

    @Test("A cancelled sleep ends at once, before or after it began")
    func cancelledSleep() async throws {
        let reactor = try Reactor.start()
        let task = Task(executorPreference: reactor) { try await reactor.sleep(for: .seconds(1000)) }
        await reactor.run {}
        task.cancel()
        await #expect(throws: ReactorError.cancelled) { try await task.value }

        let isCancelled = Gate()
        let early = Task {
            await isCancelled.wait()
            try await reactor.clock.sleep(for: .seconds(1000))
        }
        early.cancel()
        isCancelled.open()
        await #expect(throws: CancellationError.self) { try await early.value }
        await reactor.shutdown()
    }

    @Test("A repeating timer keeps its beat, counts what was missed and ends on cancellation")
    func ticks() async throws {
        let reactor = try Reactor.start()
        var iterator = reactor.ticks(every: .milliseconds(2)).makeAsyncIterator()
        let first = try #require(await iterator.next())
        let second = try #require(await iterator.next())
        let gap = first.due.duration(to: second.due)
        #expect(gap == .milliseconds(2) * (second.missed + 1))
        // Ten periods go by without a consumer.
        try await reactor.clock.sleep(until: second.due.advanced(by: .milliseconds(20)))
        let late = try #require(await iterator.next())
        #expect(late.missed >= 9)

        let third = Gate()
        let task = Task {
            var count = 0
            for await _ in reactor.ticks(every: .milliseconds(1)) {
                count += 1
                if count == 3 { third.open() }
            }
            return count
        }
        await third.wait()
        task.cancel()
        #expect(await task.value >= 3)
        await reactor.shutdown()
        #expect(await iterator.next() == nil)
    }
}
