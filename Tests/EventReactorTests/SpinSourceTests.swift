import CLibevent
import EventReactor
import Glibc
import Testing

@Suite("Spin sources", .timeLimit(.minutes(5)))
struct SpinSourceTests {
    /// An eventfd that is read without asking the kernel's queue first.
    ///
    /// `@unchecked Sendable`: what is not constant is touched on the loop's thread only.
    private final class Counter: SpinSource, ReadinessHandler, @unchecked Sendable {
        let descriptor = eventfd(0, CInt(EFD_NONBLOCK | EFD_CLOEXEC))
        let sum = Count()
        let readsBySpinning = Count()
        let looks = Count()

        deinit { close(descriptor) }

        func poll() -> Bool {
            looks.increment()
            guard read() else { return false }
            readsBySpinning.increment()
            return true
        }

        func descriptorReady(_ readiness: Readiness) { _ = read() }

        private func read() -> Bool {
            var value: UInt64 = 0
            guard unsafe Glibc.read(descriptor, &value, 8) == 8 else { return false }
            for _ in 0..<value { sum.increment() }
            return true
        }

        func write() {
            var one: UInt64 = 1
            _ = unsafe Glibc.write(descriptor, &one, 8)
        }
    }

    private func start(upTo limit: Duration = .seconds(1)) throws -> Reactor {
        var configuration = Reactor.Configuration(name: "sources")
        configuration.waiting = .spinning(upTo: limit)
        return try Reactor.start(configuration)
    }

    @Test("What a source finds is served while the loop looks, and the descriptor wakes it when it blocks")
    func eventDescriptor() async throws {
        let counter = Counter()
        let reactor = try start()
        try await reactor.run { () throws(ReactorError) in
            reactor.addSpinSource(counter, name: "counter")
            _ = try reactor.addDescriptor(
                counter.descriptor, name: "counter", interest: .readable, handler: counter)
        }
        try await onThread {
            for number in 1...50 {
                counter.write()
                while counter.sum.value < number { yieldThread() }
            }
        }
        let spinning = await reactor.statistics()
        #expect(counter.readsBySpinning.value > 0)
        #expect(spinning.callbacks >= 50)
        await reactor.run { reactor.removeSpinSource(counter) }
        let looks = counter.looks.value
        try await onThread {
            for number in 51...75 {
                counter.write()
                while counter.sum.value < number { yieldThread() }
            }
        }
        #expect(counter.looks.value == looks)
        await reactor.shutdown()
    }

    @Test("A source that always has work starves neither descriptors nor timers nor jobs")
    func fairness() async throws {
        final class Busy: SpinSource, Sendable {
            func poll() -> Bool { true }
        }
        let reactor = try start()
        await reactor.run { reactor.addSpinSource(Busy(), name: "busy") }
        let pipe = Pipe()
        let descriptor = try await reactor.descriptor(pipe.readEnd)
        pipe.write()
        try await descriptor.readable()
        try await reactor.sleep(for: .milliseconds(1))
        #expect(await reactor.run { reactor.isOnLoop })
        #expect(await reactor.statistics().spinsInVain == 0)
        await reactor.shutdown()
    }

    @Test("A source may remove itself, and is let go of at shutdown")
    func removal() async throws {
        final class Once: SpinSource {
            let reactor: Reactor
            let polled: Gate
            let released: Count

            init(_ reactor: Reactor, _ polled: Gate, _ released: Count) {
                self.reactor = reactor
                self.polled = polled
                self.released = released
            }

            deinit { released.increment() }

            func poll() -> Bool {
                reactor.removeSpinSource(self)
                polled.open()
                return true
            }
        }
        final class Never: SpinSource {
            let released: Count
            init(_ released: Count) { self.released = released }
            deinit { released.increment() }
            func poll() -> Bool { false }
        }
        let reactor = try start()
        let polled = Gate()
        let released = Count()
        await reactor.run {
            reactor.addSpinSource(Once(reactor, polled, released), name: "once")
            reactor.addSpinSource(Never(released), name: "never")
        }
        await polled.wait()
        await reactor.run {}
        #expect(released.value == 1)
        await reactor.shutdown()
        #expect(released.value == 2)
        await reactor.run { reactor.addSpinSource(Never(released), name: "too late") }
        #expect(released.value == 3)
    }

    @Test("A source that holds the loop is named in the report")
    func stall() async throws {
        final class Slow: SpinSource, Sendable {
            let polls = Count()
            func poll() -> Bool {
                usleep(20_000)
                polls.increment()
                return false
            }
        }
        let reports = Log<StallReport>()
        var configuration = Reactor.Configuration(name: "slow")
        configuration.waiting = .spinning(upTo: .milliseconds(1))
        configuration.stallThreshold = .milliseconds(5)
        configuration.onStall = { reports.append($0) }
        let reactor = try Reactor.start(configuration)
        let slow = Slow()
        await reactor.run { reactor.addSpinSource(slow, name: "slow look") }
        while !reports.all.contains(where: { $0.activity == "slow look" }) { await Task.yield() }
        await reactor.run { reactor.removeSpinSource(slow) }
        await reactor.shutdown()
    }
}
