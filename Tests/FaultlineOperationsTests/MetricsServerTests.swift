import EventReactor
import FaultlineOperations
import Testing

@Suite(.timeLimit(.minutes(5))) struct MetricsServerTests {
    /// On a busy machine a client may take its time.
    private static var patient: MetricsServer.Options {
        var options = MetricsServer.Options()
        options.patience = .seconds(240)
        return options
    }

    private func withServer(
        _ options: MetricsServer.Options = Self.patient,
        _ body: (Reactor, MetricsServer) async throws -> Void
    ) async throws {
        let reactor = try Reactor.start()
        let server = try await MetricsServer.start(on: reactor, at: .ipv4("127.0.0.1", port: 0), options) {
            var page = MetricsPage()
            page.add("answer", .gauge, help: "It.", value: 42)
            return page
        }
        try await body(reactor, server)
        await server.close()
        await reactor.shutdown()
    }

    /// All that comes back for what is sent.
    private func ask(_ server: MetricsServer, _ reactor: Reactor, _ text: String) async throws -> String {
        let connection = try await reactor.connect(to: server.address)
        try await connection.write(text)
        var bytes: [UInt8] = []
        while true {
            let part = try await connection.read()
            guard !part.isEmpty else { break }
            bytes += part
        }
        await connection.close()
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `the page is given out, anew each time`() async throws {
        try await withServer { reactor, server in
            for _ in 0..<3 {
                let answer = try await ask(server, reactor, "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n")
                #expect(answer.hasPrefix("HTTP/1.1 200 OK\r\n"))
                #expect(answer.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"))
                #expect(answer.hasSuffix("\r\n\r\n# HELP answer It.\n# TYPE answer gauge\nanswer 42\n"))
                #expect(answer.contains("Content-Length: 48\r\n"))
            }
            // A query may begin with what makes one character of it and the question mark.
            let marked = try await ask(server, reactor, "GET /metrics?\u{301} HTTP/1.1\r\n\r\n")
            #expect(marked.hasPrefix("HTTP/1.1 200 OK\r\n"))
            let head = try await ask(server, reactor, "HEAD /metrics HTTP/1.0\r\n\r\n")
            #expect(head.contains("Content-Length: 48\r\n") && head.hasSuffix("\r\n\r\n"))
        }
    }

    @Test(arguments: [
        ("GET / HTTP/1.1\r\n\r\n", "404"), ("POST /metrics HTTP/1.1\r\n\r\n", "405"),
        ("GET /metrics\r\n\r\n", "400"), ("GET metrics HTTP/1.1\r\n\r\n", "400"), ("\u{0}\r\n\r\n", "400"),
        ("GET /metrics HTTP/1.1\r\nA: " + String(repeating: "a", count: 10_000) + "\r\n\r\n", "431"),
        ("GET /metrics HTTP/1.1\r\n" + String(repeating: "A: b\r\n", count: 5_000) + "\r\n", "431"),
    ])
    func `what cannot be served is refused`(request: String, status: String) async throws {
        try await withServer { reactor, server in
            let answer = try await ask(server, reactor, request)
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            // The next one is served.
            #expect(try await ask(server, reactor, "GET /metrics HTTP/1.1\r\n\r\n").hasPrefix("HTTP/1.1 200"))
        }
    }

    @Test func `a peer that says nothing loses its place`() async throws {
        var options = MetricsServer.Options()
        options.patience = .seconds(3)
        options.connectionLimit = 1
        try await withServer(options) { reactor, server in
            let silent = try await reactor.connect(to: server.address)
            // Waits until the silent one's time is over. On a busy machine its own may pass as well.
            var answer = ""
            while !answer.hasPrefix("HTTP/1.1 200") {
                answer = (try? await ask(server, reactor, "GET /metrics HTTP/1.1\r\n\r\n")) ?? ""
            }
            #expect(try await silent.read().isEmpty)
            await silent.close()
        }
    }

    @Test func `closing ends what is being served`() async throws {
        try await withServer { reactor, server in
            let silent = try await reactor.connect(to: server.address)
            try await silent.write("GET")
            await server.close()
            let rest = try? await silent.read()
            #expect(rest == nil || rest == [])
            await #expect(throws: ReactorError.self) { try await reactor.connect(to: server.address) }
        }
    }
}
