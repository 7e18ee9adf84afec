import EventReactor
import Glibc
import Testing

/// Each thing that a task can wait for, on the loop and elsewhere.
@Suite("Cancellation and shutdown of waiting calls", .timeLimit(.minutes(5)))
struct ConnectionCancellationTests {
    enum Waiting: CaseIterable, Sendable {
        case read, exactly, line, write, flush, finish, accept, iteration, connect, localConnect
    }

    /// What the calls wait with.
    private struct Stage: Sendable {
        let reactor: Reactor
        /// Nothing to read, no room to write.
        let stuck: Connection
        let peer: Connection
        /// Nobody connects.
        let idle: Listener
        /// Nobody accepts, and there is no room for more.
        let full: Listener
        let fullLocal: Listener
        let fillers: [Connection]

        init() async throws {
            reactor = try Reactor.start()
            let pair = try await ConnectionPair.make(on: reactor, isLocal: true)
            (stuck, peer) = (pair.near, pair.far)
            try await pair.fill()
            idle = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
            var options = Listener.Options()
            options.pendingLimit = 1
            options.backlog = 1
            full = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0), options)
            fullLocal = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()), options)
            var fillers: [Connection] = []
            // One accepted, and the backlog: one more than it says.
            for listener in [full, fullLocal] {
                fillers.append(try await reactor.connect(to: listener.address))
                await waitUntil(reactor) { await listener.pendingConnections() == 1 }
                for _ in 0..<2 { fillers.append(try await reactor.connect(to: listener.address)) }
            }
            self.fillers = fillers
        }

        func begin(_ waiting: Waiting, onLoop: Bool) async -> Task<Void, any Error> {
            let task = Task(executorPreference: onLoop ? reactor : nil) {
                switch waiting {
                case .read: _ = try await stuck.read()
                case .exactly: _ = try await stuck.readExactly(1 << 20)
                case .line: _ = try await stuck.readLine()
                case .write: try await stuck.write("more")
                case .flush: try await stuck.flush()
                case .finish: try await stuck.finishWriting()
                case .accept: _ = try await idle.accept()
                case .iteration:
                    for await _ in idle.connections {}
                    throw CancellationError()
                case .connect: _ = try await reactor.connect(to: full.address)
                case .localConnect: _ = try await reactor.connect(to: fullLocal.address)
                }
            }
            // The task's first piece, and what it asks of the loop.
            for _ in 0..<3 { await reactor.run {} }
            return task
        }
    }

    private func expect(
        _ code: ReactorError.Code, of task: Task<Void, any Error>, _ waiting: Waiting
    ) async {
        if waiting == .iteration {
            await #expect(throws: CancellationError.self) { try await task.value }
        } else {
            await expectCode(code) { try await task.value }
        }
    }

    @Test(
        "A cancelled call throws, and the object can be used again", arguments: Waiting.allCases,
        [true, false])
    func cancelled(_ waiting: Waiting, onLoop: Bool) async throws {
        let stage = try await Stage()
        let task = await stage.begin(waiting, onLoop: onLoop)
        task.cancel()
        await expect(.cancelled, of: task, waiting)
        switch waiting {
        case .read, .exactly, .line:
            try await stage.peer.write("still here\n")
            #expect(try await stage.stuck.readLine() == Array("still here".utf8))
        case .write, .flush, .finish:
            if waiting == .finish { await expectCode(.closed) { try await stage.stuck.write("x") } }
            async let flushed: Void = stage.stuck.flush()
            while await stage.stuck.bufferedBytes().output > 0 { _ = try await stage.peer.read() }
            try await flushed
        case .accept, .iteration:
            async let accepted = stage.idle.accept()
            _ = try await stage.reactor.connect(to: stage.idle.address)
            _ = try await accepted
        case .connect, .localConnect:
            let listener = waiting == .connect ? stage.full : stage.fullLocal
            let connecting = await stage.begin(waiting, onLoop: onLoop)
            for _ in 0..<3 { _ = try await listener.accept() }
            try await connecting.value
        }
        await stage.reactor.shutdown()
    }

    @Test("A task that is cancelled already gets nothing done", arguments: [true, false])
    func cancelledBefore(onLoop: Bool) async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        try await pair.far.write("x")
        await waitUntil(reactor) { await pair.near.bufferedBytes().input == 1 }
        await Task(executorPreference: onLoop ? reactor : nil) {
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            await expectCode(.cancelled) { _ = try await pair.near.read() }
            await expectCode(.cancelled) { try await pair.near.write("y") }
            await expectCode(.cancelled) { try await pair.near.flush() }
            await expectCode(.cancelled) {
                _ = try await reactor.connect(to: .ipv4("127.0.0.1", port: 1))
            }
        }.value
        #expect(try await pair.near.read().count == 1)
        await reactor.shutdown()
    }

    @Test("Shutdown lets every waiting call go", arguments: Waiting.allCases, [true, false])
    func shutDown(_ waiting: Waiting, onLoop: Bool) async throws {
        let stage = try await Stage()
        let task = await stage.begin(waiting, onLoop: onLoop)
        await stage.reactor.shutdown()
        await expect(.shutDown, of: task, waiting)
        await expectCode(.shutDown) { _ = try await stage.stuck.read() }
        await expectCode(.shutDown) { try await stage.stuck.write("x") }
        await expectCode(.shutDown) { try await stage.stuck.flush() }
        await expectCode(.shutDown) { _ = try await stage.idle.accept() }
        await expectCode(.shutDown) { _ = try await stage.reactor.connect(to: stage.idle.address) }
        await expectCode(.shutDown) { _ = try await stage.reactor.listen(on: stage.idle.address) }
    }

    @Test("Nothing is leaked, however connections, listeners and reactors end")
    func descriptors() async {
        await #expect(processExitsWith: .exitCode(0)) {
            try await openRuntimeDescriptors()
            let before = openDescriptorCount()
            for waiting in Waiting.allCases {
                let stage = try await Stage()
                let task = await stage.begin(waiting, onLoop: true)
                if waiting == .read { await stage.peer.close() }
                if waiting == .accept { await stage.idle.close() }
                if waiting == .connect { task.cancel() }
                await stage.reactor.shutdown()
                _ = try? await task.value
            }
            // Let go without a shutdown.
            do {
                let reactor = try Reactor.hosted()
                let isConnected = Count()
                let connecting = Task {
                    defer { isConnected.increment() }
                    return try await ConnectionPair.make(on: reactor)
                }
                while isConnected.value == 0 { try reactor.turn(waiting: .milliseconds(20)) }
                _ = consume connecting
            }
            var now = openDescriptorCount()
            // Tasks and the last references end on other threads.
            let clock = ContinuousClock()
            let deadline = clock.now + .seconds(20)
            while now != before, clock.now < deadline {
                await Task.yield()
                now = openDescriptorCount()
            }
            precondition(now == before, "\(now - before) descriptors leaked")
            exit(0)
        }
    }
}
