import EventReactor
import Glibc
import Testing

@Suite("How connections end", .timeLimit(.minutes(5)))
struct ConnectionEndTests {
    @Test("After a half-close the other direction goes on")
    func halfClose() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        try await pair.near.write("question")
        try await pair.near.finishWriting()
        try await pair.near.finishWriting()
        await expectCode(.closed) { try await pair.near.write("more") }
        #expect(try await pair.far.readExactly(8) == Array("question".utf8))
        #expect(try await pair.far.read().isEmpty)
        try await pair.far.write("answer")
        try await pair.far.finishWriting()
        #expect(try await pair.near.readExactly(6) == Array("answer".utf8))
        #expect(try await pair.near.read().isEmpty)
        await reactor.shutdown()
    }

    @Test("A reset is an error of its own, whoever is told of it first", arguments: [true, false])
    func reset(whileSending: Bool) async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        let piece = [UInt8](repeating: 1, count: 100_000)
        // Closing a TCP connection resets it if the kernel has bytes that nobody has read: more than the buffer takes.
        var output = 0
        repeat {
            try await pair.near.write(piece)
            output = await pair.near.bufferedBytes().output
        } while whileSending && output == 0
        await waitUntil(reactor) { await pair.far.bufferedBytes().input >= 64 * 1024 }
        let reading = Task { try await pair.near.read() }
        await pair.far.close()
        await expectCode(.connectionReset) { _ = try await reading.value }
        await expectCode(.connectionReset) { try await pair.near.write("z") }
        await expectCode(.connectionReset) { try await pair.near.flush() }
        await reactor.shutdown()
    }

    @Test("Nobody listening is connectionRefused; no file is the system's error")
    func refused() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        await listener.close()
        await expectCode(.connectionRefused) { _ = try await reactor.connect(to: listener.address) }
        let path = temporarySocketPath()
        await expectCode(.system) { _ = try await reactor.connect(to: .unix(path: path)) }
        await expectCode(.badAddress) { _ = try await reactor.connect(to: .ipv4("localhost", port: 1)) }
        await expectCode(.badAddress) { _ = try await reactor.connect(to: .ipv6("[::1]", port: 1)) }
        await expectCode(.badAddress) { _ = try await reactor.connect(to: .unix(path: "")) }
        await expectCode(.badAddress) {
            _ = try await reactor.connect(to: .unix(path: String(repeating: "x", count: 108)))
        }
        await reactor.shutdown()
    }

    @Test("Closing while others read and write lets them go")
    func closeWhileWaiting() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor, isLocal: true)
        try await pair.fill()
        let reading = Task(executorPreference: reactor) { try await pair.near.read() }
        let writing = Task(executorPreference: reactor) { try await pair.near.write("more") }
        let flushing = Task(executorPreference: reactor) { try await pair.near.flush() }
        await reactor.run {}
        await pair.near.close()
        await expectCode(.closed) { _ = try await reading.value }
        await expectCode(.closed) { try await writing.value }
        await expectCode(.closed) { try await flushing.value }
        await expectCode(.closed) { _ = try await pair.near.read() }
        await expectCode(.closed) { try await pair.near.write("x") }
        await pair.near.close()
        let buffered = await pair.near.bufferedBytes()
        #expect(buffered.input == 0 && buffered.output == 0)
        await reactor.shutdown()
    }

    @Test("Two readers at a time are one too many")
    func twoReaders() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        let reading = Task(executorPreference: reactor) { try await pair.near.read() }
        await reactor.run {}
        await expectCode(.busy) { _ = try await pair.near.read() }
        try await pair.far.write("x")
        #expect(try await reading.value.count == 1)
        await reactor.shutdown()
    }

    @Test("A dropped connection is closed")
    func dropped() async throws {
        let reactor = try Reactor.start()
        var pair: ConnectionPair? = try await ConnectionPair.make(on: reactor)
        let far = try #require(pair?.far)
        pair = nil
        #expect(try await far.read().isEmpty)
        await reactor.shutdown()
    }

    @Test("Writing to a peer that is gone is brokenPipe or a reset, and never a signal")
    func brokenPipe() async {
        await #expect(processExitsWith: .exitCode(0)) {
            // The host's own thread, with SIGPIPE as deadly as it is by default.
            _ = signal(SIGPIPE, SIG_DFL)
            let reactor = try Reactor.hosted()
            let writing = Task {
                var ends: [CInt] = [-1, -1]
                _ = unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends)
                let connection = try await reactor.adopt(socket: ends[0])
                // Full, so that the next part waits in the buffer; then gone.
                try await connection.write([UInt8](repeating: 1, count: 1 << 20))
                let flushing = Task { try await connection.flush() }
                close(ends[1])
                await expectCode(.brokenPipe) { try await flushing.value }
                await expectCode(.brokenPipe) { try await connection.write("more") }
                await reactor.shutdown()
            }
            try reactor.run()
            try await writing.value
            exit(0)
        }
    }
}
