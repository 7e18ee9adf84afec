import EventReactor
import Glibc
import Testing

@Suite("Descriptors", .timeLimit(.minutes(5)))
struct DescriptorTests {
    @Test("What cannot be watched is refused with a reason")
    func refused() async throws {
        let reactor = try Reactor.start()
        let file = unsafe open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        defer { close(file) }
        await #expect(throws: ReactorError.self) { try await reactor.descriptor(-1) }
        for (descriptor, code) in [
            (CInt(-1), ReactorError.Code.badDescriptor), (file, .unsupportedDescriptor),
        ] {
            do throws(ReactorError) {
                _ = try await reactor.descriptor(descriptor)
                Issue.record("descriptor \(descriptor) was accepted")
            } catch {
                #expect(error.code == code)
                #expect(!error.description.isEmpty)
            }
        }
        await reactor.shutdown()
    }

    @Test("A second source for a descriptor is refused until the first is cancelled")
    func duplicate() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        try await reactor.run { () throws(ReactorError) in
            let handler = OnReady { _ in }
            let source = try reactor.addDescriptor(
                pipe.readEnd, name: "first", interest: .readable, handler: handler)
            do throws(ReactorError) {
                try reactor.addDescriptor(
                    pipe.readEnd, name: "second", interest: .readable, handler: handler)
                Issue.record("accepted twice")
            } catch {
                #expect(error.code == .descriptorInUse)
            }
            source.cancel()
            source.cancel()
            #expect(source.isCancelled)
            try reactor.addDescriptor(pipe.readEnd, name: "third", interest: .readable, handler: handler)
        }
        await reactor.shutdown()
    }

    @Test("Adding a descriptor off the loop is refused")
    func offLoop() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        #expect(throws: ReactorError.notOnLoop) {
            try reactor.addDescriptor(
                pipe.readEnd, name: "pipe", interest: .readable, handler: OnReady { _ in })
        }
        await reactor.shutdown()
    }

    @Test("A source cancelled in its own callback, or by another's, is not called again")
    func cancelInside() async throws {
        let reactor = try Reactor.hosted()
        try reactor.turn()
        let pipes = (0..<2).map { _ in Pipe() }
        let log = Log<Int>()
        var sources: [DescriptorSource] = []
        // They have the handlers, which have them.
        defer { sources.removeAll() }
        for (number, pipe) in pipes.enumerated() {
            let handler = OnReady { _ in
                log.append(number)
                // Both are ready in this turn; whichever comes first ends both.
                for source in sources { source.cancel() }
            }
            sources.append(
                try reactor.addDescriptor(
                    pipe.readEnd, name: "\(number)", interest: .readable, handler: handler))
            pipe.write()
        }
        // An optimised build lets go of the pipes, and closes them, after their last use.
        try withExtendedLifetime(pipes) {
            for _ in 0..<3 { try reactor.turn() }
        }
        #expect(log.count == 1)
        await reactor.shutdown()
    }

    @Test("A disabled source is silent until it is enabled again")
    func disable() async throws {
        let reactor = try Reactor.hosted()
        try reactor.turn()
        let pipe = Pipe()
        let log = Log<Readiness>()
        let source = try reactor.addDescriptor(
            pipe.readEnd, name: "pipe", interest: .readable, handler: OnReady { log.append($0) })
        source.isEnabled = false
        pipe.write()
        try reactor.turn()
        #expect(log.count == 0)
        #expect(!source.isEnabled)
        source.isEnabled = true
        try reactor.turn()
        #expect(log.all == [.readable])
        await reactor.shutdown()
    }

    @Test("Several tasks wait for one descriptor, for both directions")
    func waiters() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let reading = try await reactor.descriptor(pipe.readEnd, name: "read end")
        let writing = try await reactor.descriptor(pipe.writeEnd, name: "write end")
        try await writing.writable()
        while pipe.write(4096) > 0 {}
        let writers = (0..<3).map { _ in Task { try await writing.writable() } }
        let readers = (0..<3).map { _ in Task { try await reading.readable() } }
        for reader in readers { try await reader.value }
        while pipe.read(65536) > 0 {}
        for writer in writers { try await writer.value }
        await reactor.shutdown()
    }

    @Test("A wait ends on cancellation of the task and on cancellation of the descriptor")
    func endOfWait() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let descriptor = try await reactor.descriptor(pipe.readEnd)
        let cancelled = Task(executorPreference: reactor) { try await descriptor.readable() }
        let closed = Task(executorPreference: reactor) { try await descriptor.readable() }
        await reactor.run {}
        cancelled.cancel()
        await #expect(throws: ReactorError.cancelled) { try await cancelled.value }
        await descriptor.cancelAndWait()
        await #expect(throws: ReactorError.shutDown) { try await closed.value }
        await #expect(throws: ReactorError.shutDown) { try await descriptor.readable() }
        // Its place is free again.
        _ = try await reactor.descriptor(pipe.readEnd)
        await reactor.shutdown()
    }

    @Test("Letting go of an async descriptor frees its place")
    func letGo() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        _ = try await reactor.descriptor(pipe.readEnd)
        await reactor.run {}
        _ = try await reactor.descriptor(pipe.readEnd)
        await reactor.shutdown()
    }

    @Test("A task that reads and waits in turn gets every byte")
    func pingPong() async throws {
        let reactor = try Reactor.start()
        let pipe = Pipe()
        let reader = Task(executorPreference: reactor) {
            let descriptor = try await reactor.descriptor(pipe.readEnd)
            var total = 0
            while total < 1000 {
                try await descriptor.readable()
                total += max(pipe.read(), 0)
            }
            return total
        }
        for _ in 0..<1000 {
            pipe.write()
            await Task.yield()
        }
        #expect(try await reader.value == 1000)
        await reactor.shutdown()
    }
}
