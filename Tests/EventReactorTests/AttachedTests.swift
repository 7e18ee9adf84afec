import EventReactor
import Testing

@Suite("Attached to a host's event_base", .timeLimit(.minutes(5)))
struct AttachedTests {
    @Test("Jobs, descriptors, timers and end-of-turn work are served by the host's loop")
    func everything() async throws {
        try await onThread {
            let host = try HostLoop()
            let reactor = try host.attach()
            let pipe = Pipe()
            let log = Log<String>()
            let work = AtEndOfTurn { log.append("end of turn") }
            #expect(reactor.isOnLoop)
            let handler = OnReady { _ in
                pipe.read()
                log.append("ready")
                reactor.execute { log.append("job") }
                reactor.scheduleEndOfTurn(work)
            }
            try reactor.addDescriptor(pipe.readEnd, name: "pipe", interest: .readable, handler: handler)
            pipe.write()
            // All of it within the one iteration in which the descriptor was ready.
            host.iterate()
            #expect(log.all == ["ready", "job", "end of turn"])
            reactor.startTimer(after: .milliseconds(1), OnTimer { _ in log.append("timer") })
            host.run { log.count == 4 }
            #expect(log.all.last == "timer")
            try reactor.detach()
        }
    }

    @Test("A job enqueued by the host's own callback runs in the same iteration")
    func hostCallback() async throws {
        try await onThread {
            let host = try HostLoop()
            let reactor = try host.attach()
            let log = Log<String>()
            host.once {
                reactor.execute { log.append("job") }
                log.append("host")
            }
            host.iterate()
            #expect(log.all == ["host", "job"])
            try reactor.detach()
        }
    }

    @Test("Jobs from other threads wake the host's loop, and tasks come and go")
    func tasks() async throws {
        try await onThread {
            let host = try HostLoop()
            let reactor = try host.attach()
            let done = Count()
            Task(executorPreference: reactor) {
                #expect(reactor.isOnLoop)
                try await reactor.sleep(for: .milliseconds(1))
                #expect(reactor.isOnLoop)
                done.increment()
            }
            Task {
                for _ in 0..<100 { #expect(await reactor.run { reactor.isOnLoop }) }
                // On the loop, so that the host looks at it.
                await reactor.run { done.increment() }
            }
            host.run { done.value == 2 }
            try reactor.detach()
        }
    }

    @Test("Jobs beyond the budget leave the host's callbacks their turn")
    func budget() async throws {
        try await onThread {
            var configuration = Reactor.Configuration()
            configuration.jobsPerTurn = 10
            let host = try HostLoop()
            let reactor = try host.attach(configuration)
            let log = Log<String>()
            for _ in 0..<25 { reactor.execute { log.append("job") } }
            host.iterate()
            #expect(log.count == 10)
            host.once { log.append("host") }
            host.run { log.count == 26 }
            #expect((log.all.firstIndex(of: "host") ?? 26) < 26)
            #expect(log.all.last == "job")
            try reactor.detach()
        }
    }

    @Test("Detaching leaves nothing in the base, which the host goes on using")
    func detach() async throws {
        try await onThread {
            let host = try HostLoop()
            let before = host.eventCount
            let reactor = try host.attach()
            let pipe = Pipe()
            let abandoned = Count()
            try reactor.addDescriptor(
                pipe.readEnd, name: "pipe", interest: .readable,
                handler: OnReady(abandoned: { abandoned.increment() }, { _ in }))
            #expect(host.eventCount > before)
            try reactor.detach()
            #expect(host.eventCount == before)
            #expect(abandoned.value == 1)
            #expect(throws: ReactorError.shutDown) { try reactor.detach() }
            let log = Log<String>()
            host.once { log.append("host") }
            host.iterate()
            #expect(log.all == ["host"])
        }
    }

    @Test("Detaching within a job or a callback takes effect without harm")
    func detachInside() async throws {
        try await onThread {
            let host = try HostLoop()
            let first = try host.attach()
            first.execute { try? first.detach() }
            host.iterate()
            #expect(host.eventCount == 0)
            let second = try host.attach()
            let pipe = Pipe()
            pipe.write()
            let handler = OnReady { _ in try? second.detach() }
            try second.addDescriptor(pipe.readEnd, name: "pipe", interest: .readable, handler: handler)
            host.iterate()
            #expect(host.eventCount == 0)
        }
    }

    @Test("shutdown() from elsewhere ends an attached reactor while the host runs")
    func shutdown() async throws {
        try await onThread {
            let host = try HostLoop()
            let reactor = try host.attach()
            let isDone = Count()
            Task {
                await reactor.shutdown()
                isDone.increment()
            }
            host.run { host.eventCount == 0 }
            while isDone.value == 0 { yieldThread() }
        }
    }

    /// In a function, so that none of its references is left when it returns.
    private static func attachAndDetach(_ host: HostLoop, duringTurn: Bool) throws -> WeakReactor {
        let reactor = try host.attach()
        let kept = WeakReactor(reactor)
        let pipe = Pipe()
        // Refers to the reactor, as most handlers do.
        try reactor.addDescriptor(
            pipe.readEnd, name: "pipe", interest: .readable, handler: OnReady { _ in _ = reactor.name })
        guard duringTurn else {
            try reactor.detach()
            return kept
        }
        reactor.execute { try? reactor.detach() }
        return kept
    }

    @Test("A reactor keeps itself alive in the host's base, and no longer", arguments: [false, true])
    func lifetime(duringTurn: Bool) async throws {
        try await onThread {
            let host = try HostLoop()
            let before = host.eventCount
            let kept = try Self.attachAndDetach(host, duringTurn: duringTurn)
            if duringTurn {
                #expect(kept.isAlive, "nobody but the base refers to it")
                host.run { host.eventCount == before }
            }
            #expect(!kept.isAlive)
        }
    }

    @Test("A loop that moves to another thread takes the reactor along")
    func moved() async throws {
        let parcel = Lock<Handover?>(nil)
        try await onThread {
            let host = try HostLoop()
            let handover = Handover(host, try host.attach())
            parcel.withLock { $0 = handover }
        }
        try await onThread {
            guard let handover = parcel.withLock({ $0.take() }) else { return }
            let reactor = handover.reactor
            let isDone = Count()
            handover.host.once { reactor.execute { isDone.increment() } }
            handover.host.run { isDone.value == 1 }
            #expect(reactor.isOnLoop)
            try reactor.detach()
        }
    }
}

private struct WeakReactor {
    private weak var reactor: Reactor?

    init(_ reactor: Reactor) { self.reactor = reactor }

    var isAlive: Bool { reactor != nil }
}

/// Passes a loop from one thread to another, which starts after the first has ended.
private final class Handover: @unchecked Sendable {
    let host: HostLoop
    let reactor: Reactor

    init(_ host: HostLoop, _ reactor: Reactor) {
        self.host = host
        self.reactor = reactor
    }
}
