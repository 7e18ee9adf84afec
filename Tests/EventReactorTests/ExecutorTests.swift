import EventReactor
import Glibc
import Synchronization
import Testing

/// An actor that runs on a reactor.
private actor OnReactor {
    private let reactor: Reactor
    private var total = 0

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ reactor: Reactor) { self.reactor = reactor }

    func add(_ number: Int) -> (total: Int, onLoop: Bool) {
        total += number
        reactor.assertIsolated()
        return (total, reactor.isOnLoop)
    }
}

@Suite("Executor", .timeLimit(.minutes(5)))
struct ExecutorTests {
    @Test("Jobs run in the order in which they were enqueued, from the loop and from elsewhere")
    func order() async throws {
        let reactor = try Reactor.start()
        let log = Log<Int>()
        let done = Gate()
        for number in 0..<3000 { reactor.execute { log.append(number) } }
        reactor.execute {
            for number in 3000..<6000 { reactor.execute { log.append(number) } }
            reactor.execute { done.open() }
        }
        await done.wait()
        #expect(log.all == Array(0..<6000))
        await reactor.shutdown()
    }

    @Test("An actor whose executor is the reactor runs on its thread")
    func actor() async throws {
        let reactor = try Reactor.start()
        let actor = OnReactor(reactor)
        #expect(await actor.add(2) == (2, true))
        #expect(await actor.add(3) == (5, true))
        await reactor.shutdown()
    }

    @Test("Many enqueues while the loop is busy cost one wake-up at most")
    func wakeElision() async throws {
        let reactor = try Reactor.start()
        let started = Gate()
        let isFree = Atomic(false)
        let before = await reactor.statistics()
        reactor.execute {
            started.open()
            while !isFree.load(ordering: .acquiring) { sched_yield() }
        }
        await started.wait()
        for _ in 0..<10_000 { reactor.execute {} }
        isFree.store(true, ordering: .releasing)
        let after = await reactor.statistics()
        #expect(after.jobsFromElsewhere - before.jobsFromElsewhere >= 10_001)
        // One for the job that kept it busy, one each for the two questions.
        #expect(after.wakeups - before.wakeups <= 3)
        await reactor.shutdown()
    }

    @Test("Enqueues from many threads are all run, however they race with the loop falling asleep")
    func wakeRaces() async throws {
        let reactor = try Reactor.start()
        let count = Count()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<2000 {
                        // Each waits for its job: the loop falls asleep between them.
                        await withCheckedContinuation { continuation in
                            reactor.execute {
                                count.increment()
                                continuation.resume()
                            }
                        }
                    }
                }
            }
        }
        #expect(count.value == 8000)
        await reactor.shutdown()
    }

    @Test("On-loop enqueues write to no descriptor")
    func enqueuesOnLoop() async throws {
        let reactor = try Reactor.start()
        let wakeups = await Task(executorPreference: reactor) {
            let before = await reactor.statistics().wakeups
            for _ in 0..<100 { await Task.yield() }
            return await reactor.statistics().wakeups - before
        }.value
        #expect(wakeups == 0)
        await reactor.shutdown()
    }

    @Test("A task with the reactor's preference resumes on the loop thread", arguments: [false, true])
    func resumesOnLoop(asHandler: Bool) async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let executor: any TaskExecutor = asHandler ? reactor.handlerExecutor : reactor
        let task = Task(executorPreference: executor) {
            var places = [reactor.isOnLoop]
            let descriptor = try await reactor.descriptor(pipe.readEnd)
            places.append(reactor.isOnLoop)
            try await descriptor.readable()
            places.append(reactor.isOnLoop)
            try await reactor.sleep(for: .microseconds(10))
            places.append(reactor.isOnLoop)
            await withCheckedContinuation { continuation in reactor.execute { continuation.resume() } }
            places.append(reactor.isOnLoop)
            return places
        }
        pipe.write()
        #expect(try await task.value == [true, true, true, true, true])
        await reactor.shutdown()
    }

    @Test("A handler's task that suspends once costs one job")
    func handlerJobs() async throws {
        final class Parcel: Sendable {
            let continuation = Lock<CheckedContinuation<Void, Never>?>(nil)
        }
        let observer = LastTurn()
        var configuration = Reactor.Configuration()
        configuration.turnObserver = observer
        let reactor = try Reactor.hosted(configuration)
        try reactor.turn()
        let parcel = Parcel()
        let isDone = Count()
        Task.immediate(executorPreference: reactor.handlerExecutor) { @Sendable in
            await withCheckedContinuation { continuation in
                parcel.continuation.withLock { $0 = continuation }
            }
            #expect(reactor.isOnLoop)
            isDone.increment()
        }
        // It started at once and has suspended; nothing was enqueued so far.
        parcel.continuation.withLock { $0.take() }?.resume()
        try reactor.turn()
        #expect(isDone.value == 1)
        #expect(observer.statistics.jobs == 1)
        await reactor.shutdown()
    }

    @Test("run(_:) passes errors on and runs at once on the loop")
    func run() async throws {
        struct Refused: Error, Equatable {}
        let reactor = try Reactor.start()
        await #expect(throws: Refused()) {
            try await reactor.run { () throws(Refused) in throw Refused() }
        }
        let nested = await reactor.run { reactor.isOnLoop }
        #expect(nested)
        await reactor.shutdown()
    }

    @Test("One attachment per type and reactor")
    func attachment() async throws {
        final class Thing {}
        let reactor = try Reactor.start()
        let same = await reactor.run {
            let first = reactor.attachment { Thing() }
            return first === reactor.attachment { Thing() }
        }
        #expect(same)
        await reactor.shutdown()
    }
}
