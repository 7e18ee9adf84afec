import CLibevent
import EventReactor
import Glibc
import Testing

@Suite("Groups of reactors", .timeLimit(.minutes(5)))
struct GroupTests {
    private static let allowed: [Int] = {
        var set = cpu_set_t()
        _ = unsafe sched_getaffinity(getpid(), MemoryLayout<cpu_set_t>.size, &set)
        return unsafe withUnsafeBytes(of: set) { bytes in
            (0..<bytes.count * 8).filter { unsafe bytes[$0 / 8] >> UInt8($0 % 8) & 1 == 1 }
        }
    }()

    private func withGroup(
        _ configuration: ReactorGroup.Configuration, _ body: (ReactorGroup) async throws -> Void
    ) async throws {
        let group = try ReactorGroup.start(configuration)
        do { try await body(group) } catch {
            await group.shutdown()
            throw error
        }
        await group.shutdown()
    }

    @Test(
        "There is one reactor for each processor, unless a number is given, each with a thread and a name of its own"
    )
    func sizes() async throws {
        try await withGroup(.init()) { group in
            #expect(group.count == Self.allowed.count)
            #expect(group.processors.allSatisfy { $0 == nil })
        }
        try await withGroup(.init(count: 3, reactor: .init(name: "trio"))) { group in
            #expect(group.reactors.map(\.name) == ["trio-0", "trio-1", "trio-2"])
            var threads: Set<pthread_t> = []
            for reactor in group.reactors { threads.insert(await reactor.run { pthread_self() }) }
            #expect(threads.count == 3)
        }
    }

    @Test("Reactors take turns, and one that is shut down is passed over")
    func turns() async throws {
        try await withGroup(.init(count: 3)) { group in
            let first = (0..<6).map { _ in group.next() }
            #expect(first[0] !== first[1] && first[1] !== first[2] && first[2] !== first[0])
            for index in 0..<3 { #expect(first[index] === first[index + 3]) }
            await group.reactors[1].shutdown()
            #expect(!group.reactors[1].isRunning)
            for _ in 0..<6 { #expect(group.next() !== group.reactors[1]) }
            for _ in 0..<6 { #expect(group.free() !== group.reactors[1]) }
        }
    }

    @Test("When all are shut down, one is given out that says so")
    func allShutDown() async throws {
        let group = try ReactorGroup.start(.init(count: 2))
        await group.shutdown()
        await group.shutdown()
        await #expect(throws: ReactorError.shutDown) { try await group.next().sleep(for: .seconds(1)) }
        await #expect(throws: ReactorError.shutDown) { try await group.free().sleep(for: .seconds(1)) }
    }

    @Test("The free one is chosen while others are busy")
    func free() async throws {
        try await withGroup(.init(count: 3)) { group in
            let held = Count()
            let released = Count()
            // Not the last one: it is the one that sleeps.
            for reactor in group.reactors.dropLast() {
                reactor.execute {
                    held.increment()
                    while released.value == 0 { yieldThread() }
                }
            }
            try await onThread {
                while held.value < 2 { yieldThread() }
                // The last one goes to sleep when it has started.
                while group.free() !== group.reactors[2] { yieldThread() }
                released.increment()
            }
        }
    }

    @Test("Pinned threads run where they should, and the nearest one is that of the caller's processor")
    func pinning() async throws {
        let allowed = Self.allowed
        try await withGroup(.init(pinning: .oneProcessorEach)) { group in
            #expect(group.processors == allowed)
            for (index, reactor) in group.reactors.enumerated() {
                #expect(await reactor.run { sched_getcpu() } == CInt(allowed[index]))
                // From its own loop a reactor is the nearest one.
                #expect(await reactor.run { group.nearest() === reactor })
                #expect(await reactor.run { group.current === reactor && group.isOnLoop })
                #expect(group.reactor(onProcessor: allowed[index]) === reactor)
            }
            #expect(group.reactor(onProcessor: 100_000) == nil)
            #expect(group.current == nil && !group.isOnLoop)
        }
        try await withGroup(.init(count: 3, pinning: .processors([allowed[0]]))) { group in
            #expect(group.processors == [allowed[0], allowed[0], allowed[0]])
            for reactor in group.reactors {
                #expect(await reactor.run { sched_getcpu() } == CInt(allowed[0]))
            }
        }
    }

    @Test("What cannot be started is refused with a sentence", arguments: [-1, 1_000_000, 1023])
    func refusals(processor: Int) throws {
        try #require(!Self.allowed.contains(processor))
        let error = #expect(throws: ReactorError.self) {
            _ = try ReactorGroup.start(.init(pinning: .processors([processor])))
        }
        #expect(error?.code == .noSuchProcessor)
        #expect(error?.description.contains("processor") == true)
    }

    @Test("A group without reactors is refused")
    func empty() throws {
        for configuration in [
            ReactorGroup.Configuration(count: 0), .init(count: -1), .init(pinning: .processors([])),
        ] {
            let error = #expect(throws: ReactorError.self) { _ = try ReactorGroup.start(configuration) }
            #expect(error?.code == .emptyGroup)
        }
    }

    @Test("Counters are had for each and add up")
    func statistics() async throws {
        try await withGroup(.init(count: 2)) { group in
            for _ in 0..<5 { await group.reactors[1].run {} }
            let each = await group.statistics()
            #expect(each.count == 2)
            #expect(each[1].jobsFromElsewhere >= 5)
            let sum = each.reduce(TurnStatistics(), +)
            #expect(sum.turns == each[0].turns + each[1].turns)
            #expect(sum.jobs == each[0].jobs + each[1].jobs)
            #expect(sum.waits == each[0].waits + each[1].waits)
        }
    }

    @Test("A group can be shut down by a task on one of its loops, and by several at once")
    func shutdownFromWithin() async throws {
        let group = try ReactorGroup.start(.init(count: 2))
        await withTaskGroup { tasks in
            tasks.addTask(executorPreference: group.reactors[0]) { await group.shutdown() }
            tasks.addTask { await group.shutdown() }
        }
        #expect(group.reactors.allSatisfy { !$0.isRunning })
    }

    @Test("Threads end with the last reference")
    func letGo() async throws {
        let count = 2
        let started = Log<pid_t>()
        do {
            let group = try ReactorGroup.start(.init(count: count, reactor: .init(name: "short")))
            for reactor in group.reactors { started.append(await reactor.run { gettid() }) }
        }
        try await onThread {
            for thread in started.all {
                while unsafe access("/proc/self/task/\(thread)", F_OK) == 0 { yieldThread() }
            }
        }
        #expect(started.count == count)
    }
}
