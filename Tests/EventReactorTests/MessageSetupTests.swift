import CTestSupport
import EventReactor
import Glibc
import Testing

@Suite("Making message sockets", .timeLimit(.minutes(5)))
struct MessageSetupTests {
    @Test(
        "A listener hands its sockets out for messages, of either kind", arguments: bothKinds, [true, false])
    func listener(kind: SocketKind, onLoop: Bool) async throws {
        let reactor = try Reactor.start()
        var options = Listener.Options()
        options.kind = kind
        let listener = try await reactor.listen(on: .unix(path: temporarySocketPath()), options)
        try await Task(executorPreference: onLoop ? reactor : nil) {
            async let accepted = listener.acceptMessages()
            let client = try await reactor.connectMessages(to: listener.address, kind: kind)
            let server = try await accepted
            #expect(server.kind == kind && client.kind == kind)
            #expect(server.peerCredentials?.processID == getpid())
            #expect(server.peerCredentials?.userID == geteuid())
            try await client.send([1, 2])
            #expect(try await server.receive()?.bytes == [1, 2])
        }.value
        // The same listener has connections for whoever wants those.
        if kind == .stream {
            let client = try await reactor.connect(to: listener.address)
            try await listener.accept().write([5])
            #expect(try await client.readExactly(1) == [5])
        } else {
            await expectCode(.wrongSocketKind) { _ = try await listener.accept() }
        }
        await listener.close()
        await expectCode(.closed) { _ = try await listener.acceptMessages() }
        await reactor.shutdown()
    }

    @Test("A stale file of a packet socket is replaced, one in use is not")
    func staleFile() async throws {
        let reactor = try Reactor.start()
        var options = Listener.Options()
        options.kind = .sequencedPackets
        let path = temporarySocketPath()
        let first = try await reactor.listen(on: .unix(path: path), options)
        await expectCode(.addressInUse) { _ = try await reactor.listen(on: .unix(path: path), options) }
        // A second name, which its listener does not know of and leaves behind.
        #expect(unsafe link(path, path + "2") == 0)
        await first.close()
        #expect(!fileExists(path) && fileExists(path + "2"))
        let second = try await reactor.listen(on: .unix(path: path + "2"), options)
        _ = try await reactor.connectMessages(to: second.address, kind: .sequencedPackets)
        // The kernel tells of the wrong kind.
        await expectCode(.system) { _ = try await reactor.connectMessages(to: second.address) }
        await reactor.shutdown()
        #expect(!fileExists(path + "2"))
    }

    @Test("Connecting says what is wrong, and waits where there is no room")
    func connecting() async throws {
        let reactor = try Reactor.start()
        await expectCode(.notLocal) {
            _ = try await reactor.connectMessages(to: .ipv4("127.0.0.1", port: 9))
        }
        await expectCode(.system) {
            _ = try await reactor.connectMessages(to: .unix(path: temporarySocketPath()))
        }
        await expectCode(.connectionRefused) {
            _ = try await reactor.connectMessages(to: .unix(path: "\0" + temporarySocketPath()))
        }
        await expectCode(.badAddress) {
            _ = try await reactor.connectMessages(to: .unix(path: String(repeating: "x", count: 200)))
        }
        var options = Listener.Options()
        options.pendingLimit = 1
        options.backlog = 1
        let listener = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()), options)
        // Abstract names of the two kinds are two names.
        await expectCode(.connectionRefused) {
            _ = try await reactor.connectMessages(to: listener.address, kind: .sequencedPackets)
        }
        var clients = [try await reactor.connectMessages(to: listener.address)]
        await waitUntil(reactor) { await listener.pendingConnections() == 1 }
        for _ in 0..<2 { clients.append(try await reactor.connectMessages(to: listener.address)) }
        let cancelled = Task { try await reactor.connectMessages(to: listener.address) }
        let patient = Task { try await reactor.connectMessages(to: listener.address) }
        for _ in 0..<5 { await reactor.run {} }
        cancelled.cancel()
        await expectCode(.cancelled) { _ = try await cancelled.value }
        for _ in 0..<4 { _ = try await listener.acceptMessages() }
        _ = try await patient.value
        await reactor.shutdown()
        await expectCode(.shutDown) { _ = try await reactor.connectMessages(to: listener.address) }
    }

    @Test("What is no such socket is refused, and stays the caller's")
    func adopting() async throws {
        let reactor = try Reactor.start()
        await expectCode(.badDescriptor) { _ = try await reactor.adopt(messageSocket: -1) }
        let pipe = Pipe()
        await expectCode(.system) { _ = try await reactor.adopt(messageSocket: pipe.readEnd) }
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        await expectCode(.notLocal) { _ = try await listener.acceptMessages() }
        let tcp = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
        await expectCode(.notLocal) { _ = try await reactor.adopt(messageSocket: tcp) }
        var datagrams: [CInt] = [-1, -1]
        #expect(unsafe ctest_socket_pair(ctest_socket_datagrams, &datagrams) == 0)
        await expectCode(.wrongSocketKind) { _ = try await reactor.adopt(messageSocket: datagrams[0]) }
        let ends = try socketPair(.stream)
        let first = try await reactor.adopt(messageSocket: ends.0)
        await expectCode(.descriptorInUse) { _ = try await reactor.adopt(messageSocket: ends.0) }
        withExtendedLifetime(first) {}
        for number in [tcp, datagrams[0], datagrams[1], ends.1] { #expect(close(number) == 0) }
        await reactor.shutdown()
        let late = try socketPair(.stream)
        await expectCode(.shutDown) { _ = try await reactor.adopt(messageSocket: late.0) }
        for number in [late.0, late.1] { #expect(close(number) == 0) }
    }

    @Test("A listener for packets or with a policy has to be a local one")
    func notLocal() async throws {
        let reactor = try Reactor.start()
        var options = Listener.Options()
        options.kind = .sequencedPackets
        await expectCode(.notLocal) {
            _ = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0), options)
        }
        options.kind = .stream
        options.peerPolicy = .anyone
        await expectCode(.notLocal) { _ = try await reactor.listen(on: .ipv6("::1", port: 0), options) }
        await reactor.shutdown()
    }
}
