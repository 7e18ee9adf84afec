import EventReactor
import Testing

@Suite("Connections", .timeLimit(.minutes(1)))
struct ConnectionTests {
    @Test("An echo server answers over TCP and over UNIX sockets", arguments: [false, true])
    func echoes(isLocal: Bool) async throws {
        let reactor = try Reactor.start()
        let path = temporarySocketPath()
        let listener = try await reactor.listen(
            on: isLocal ? .unix(path: path) : .ipv4("127.0.0.1", port: 0))
        if !isLocal { #expect(listener.address.port != 0) }
        let server = Task(executorPreference: reactor) { try await echo(listener.accept()) }
        let client = try await reactor.connect(to: listener.address)
        for round in 1...20 {
            try await client.write("round \(round)\n")
            let line = try #require(try await client.readLine())
            #expect(String(decoding: line, as: UTF8.self) == "round \(round)")
        }
        try await client.finishWriting()
        #expect(try await client.read().isEmpty)
        try await server.value
        await reactor.shutdown()
    }
}
