import EventReactor
import Glibc
import Testing

// libevent serves the signals of one loop at a time, and they belong to the process: one test after the other. The signals used here
// are ignored by default, so that one that comes late does no harm.
@Suite("Signals", .serialized, .timeLimit(.minutes(5)))
struct SignalTests {
    @Test("A signal is delivered, by its number")
    func delivered() async throws {
        let reactor = try Reactor.start()
        let stream = try await reactor.signals(SIGWINCH, SIGURG)
        let waiting = Task(executorPreference: reactor) { try await stream.receive() }
        await reactor.run {}
        kill(getpid(), SIGURG)
        #expect(try await waiting.value.signal == SIGURG)
        kill(getpid(), SIGWINCH)
        for await delivery in stream {
            #expect(delivery.signal == SIGWINCH)
            #expect(delivery.count == 1)
            break
        }
        await stream.cancel()
        await reactor.shutdown()
    }

    @Test("Repeats that nobody has received yet are counted, not queued")
    func coalesced() async throws {
        let reactor = try Reactor.start()
        let stream = try await reactor.signals(SIGWINCH)
        let witness = try await reactor.signals(SIGWINCH)
        for _ in 0..<5 {
            // One at a time: the witness has seen it before the next one is sent.
            kill(getpid(), SIGWINCH)
            _ = try await witness.receive()
        }
        let delivery = try await stream.receive()
        #expect(delivery.signal == SIGWINCH && delivery.count == 5)
        await reactor.shutdown()
        await expectCode(.shutDown) { _ = try await stream.receive() }
    }

    @Test("A cancelled wait leaves the stream usable; a cancelled stream ends")
    func cancellation() async throws {
        let reactor = try Reactor.start()
        let stream = try await reactor.signals(SIGWINCH)
        let waiting = Task(executorPreference: reactor) { try await stream.receive() }
        let iterating = Task(executorPreference: reactor) { for await _ in stream {} }
        await reactor.run {}
        waiting.cancel()
        await expectCode(.cancelled) { _ = try await waiting.value }
        iterating.cancel()
        await iterating.value
        kill(getpid(), SIGWINCH)
        #expect(try await stream.receive().signal == SIGWINCH)
        let last = Task(executorPreference: reactor) { try await stream.receive() }
        let ended = Task(executorPreference: reactor) { for await _ in stream {} }
        await reactor.run {}
        await stream.cancel()
        await expectCode(.closed) { _ = try await last.value }
        await ended.value
        await reactor.shutdown()
    }

    @Test("A second reactor is refused until the first one has let go")
    func secondReactor() async throws {
        let first = try Reactor.start()
        let second = try Reactor.start()
        var stream: SignalStream? = try await first.signals(SIGWINCH)
        #expect(stream != nil)
        await expectCode(.signalsInUse) { _ = try await second.signals(SIGURG) }
        _ = try await first.signals(SIGURG)
        stream = nil
        await waitUntil(first) {
            do {
                await (try second.signals(SIGURG)).cancel()
                return true
            } catch {
                return false
            }
        }
        let other = try await second.signals(SIGWINCH)
        kill(getpid(), SIGWINCH)
        #expect(try await other.receive().signal == SIGWINCH)
        await expectCode(.signalsInUse) { _ = try await first.signals(SIGURG) }
        await second.shutdown()
        _ = try await first.signals(SIGURG)
        await first.shutdown()
    }

    @Test("The former disposition returns with the last stream", arguments: [true, false])
    func disposition(byShutdown: Bool) async throws {
        let reactor = try Reactor.start()
        let former = handler(of: SIGWINCH)
        let one = try await reactor.signals(SIGWINCH)
        let two = try await reactor.signals(SIGWINCH, SIGURG)
        #expect(handler(of: SIGWINCH) != former)
        await one.cancel()
        #expect(handler(of: SIGWINCH) != former)
        if byShutdown { await reactor.shutdown() } else { await two.cancel() }
        #expect(handler(of: SIGWINCH) == former)
        await reactor.shutdown()
    }

    @Test("What cannot be waited for is refused", arguments: [0, -1, 65, SIGKILL, SIGSTOP, SIGSEGV, 32])
    func refused(number: CInt) async throws {
        let reactor = try Reactor.start()
        await expectCode(.badSignal) { _ = try await reactor.signals(number) }
        await expectCode(.badSignal) { _ = try await reactor.signals(SIGWINCH, number) }
        await reactor.shutdown()
        await expectCode(.shutDown) { _ = try await reactor.signals(SIGWINCH) }
    }

    @Test("A reactor that its host drives receives signals on the host's thread")
    func hosted() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let reactor = try Reactor.hosted()
            let waiting = Task(executorPreference: reactor) {
                let stream = try await reactor.signals(SIGTERM)
                kill(getpid(), SIGTERM)
                let delivery = try await stream.receive()
                precondition(delivery.signal == SIGTERM)
                await stream.cancel()
                await reactor.shutdown()
            }
            try reactor.run()
            try await waiting.value
            exit(0)
        }
    }

    private func handler(of number: CInt) -> UInt {
        var action = sigaction()
        _ = unsafe sigaction(number, nil, &action)
        return unsafe unsafeBitCast(action.__sigaction_handler.sa_sigaction, to: UInt.self)
    }
}
