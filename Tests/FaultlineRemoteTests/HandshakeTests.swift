import FaultlineRemote
import FaultlineTestKit
import Testing

/// The handshake, without sockets.
@Suite(.timeLimit(.minutes(5)))
struct HandshakeTests {
    let secret = SharedSecret.random().secret
    let other = SharedSecret.random().secret
    let client = [UInt8](repeating: 9, count: 16)
    let terms = Terms(
        instance: [UInt8](repeating: 5, count: 16), byteCount: 12345, isReadOnly: true,
        requestByteLimit: 1 << 20, windowRequests: 256, windowByteCount: 8 << 20)

    /// The ends as objects, for the macros' sake.
    private final class ClientEnd {
        var state: ClientHandshake
        init(_ state: ClientHandshake) { self.state = state }
        var hello: [UInt8] { state.hello }
        func prove(_ challenge: [UInt8]) throws -> [UInt8] { try state.prove(challenge) }
        func terms(_ welcome: [UInt8]) throws -> Terms { try state.terms(welcome) }
    }

    private final class ServerEnd {
        var state: ServerHandshake
        init?(_ hello: [UInt8], versions: ClosedRange<UInt16> = 1...1) throws {
            guard let state = try ServerHandshake(hello, versions: versions) else { return nil }
            self.state = state
        }
        var hello: Hello { state.hello }
        var challenge: [UInt8] { state.challenge }
        func accept(_ proof: [UInt8], _ secret: SharedSecret) -> Bool { state.accept(proof, secret) }
        func welcome(_ terms: Terms, _ secret: SharedSecret) -> [UInt8] { state.welcome(terms, secret) }
    }

    private func end(_ secret: SharedSecret, _ versions: ClosedRange<UInt16> = 1...1) -> ClientEnd {
        ClientEnd(ClientHandshake(export: "pages", client: client, secret: secret, versions: versions))
    }

    private func begin(
        _ mine: SharedSecret, client versions: ClosedRange<UInt16> = 1...1,
        server: ClosedRange<UInt16> = 1...1
    ) throws -> (ClientEnd, ServerEnd) {
        let client = end(mine, versions)
        return (client, try #require(try ServerEnd(client.hello, versions: server)))
    }

    private func code(_ body: () throws -> Void) -> RemoteError.Code? {
        do {
            try body()
            return nil
        } catch { return (error as? RemoteError)?.code }
    }

    @Test func `ends that have the same secret agree`() throws {
        let (client, server) = try begin(secret)
        #expect(server.hello.export == "pages" && server.hello.client == self.client)
        let proof = try client.prove(server.challenge)
        #expect(server.accept(proof, secret))
        #expect(try client.terms(server.welcome(terms, secret)) == terms)
    }

    @Test func `nobody is let in with another secret, nor with an old proof`() throws {
        let (client, server) = try begin(other)
        let proof = try client.prove(server.challenge)
        #expect(!server.accept(proof, secret))
        #expect(!server.accept([], secret))
        #expect(!server.accept([UInt8](repeating: 0, count: 32), secret))
        // Whoever has listened cannot use what was said.
        let (known, first) = try begin(secret)
        let heard = try known.prove(first.challenge)
        let second = try #require(try ServerEnd(known.hello))
        #expect(!second.accept(heard, secret))
        #expect(first.accept(heard, secret))
        #expect(!first.accept(heard, secret), "a proof counts once")
        // The proof of one end is none of the other.
        #expect(code { _ = try known.terms(terms.encoded + heard) } == .wrongSecret)
    }

    @Test func `a server that does not know the secret is found out`() throws {
        let (client, server) = try begin(secret)
        let proof = try client.prove(server.challenge)
        #expect(server.accept(proof, secret))
        #expect(code { _ = try client.terms(server.welcome(terms, other)) } == .wrongSecret)
        #expect(code { _ = try client.terms(terms.encoded) } == .protocolViolation)
        var better = terms
        better.isReadOnly = false
        let welcome = server.welcome(terms, secret)
        #expect(
            code { _ = try client.terms(better.encoded + welcome.suffix(32)) } == .wrongSecret,
            "nobody in between changes the terms")
    }

    @Test func `nobody in between changes what was said`() throws {
        let seed = TestSeed()
        var random = TestRandom(seed)
        for _ in 0..<200 {
            let client = end(secret)
            var hello = client.hello
            let changesHello = random.chance(50)
            if changesHello { hello[random.below(hello.count)] ^= UInt8(1 + random.below(255)) }
            guard let server = try? ServerEnd(hello) else { continue }
            var challenge = server.challenge
            if !changesHello { challenge[random.below(challenge.count)] ^= UInt8(1 + random.below(255)) }
            guard let proof = try? client.prove(challenge) else { continue }
            #expect(!server.accept(proof, secret), "\(seed)")
        }
    }

    @Test func `the newest version that both speak is spoken`() throws {
        let (client, server) = try begin(secret, client: 1...3, server: 2...7)
        #expect(try Challenge(decoding: server.challenge).version == 3)
        #expect(server.accept(try client.prove(server.challenge), secret))
        let old = end(secret)
        #expect(try ServerEnd(old.hello, versions: 2...7) == nil)
        let stubborn = end(secret)
        let newer = Challenge(version: 2, nonce: [UInt8](repeating: 0, count: 32)).encoded
        #expect(code { _ = try stubborn.prove(newer) } == .noCommonVersion)
    }

    @Test func `messages of the wrong length or order are refused`() throws {
        let (client, server) = try begin(secret)
        #expect(code { _ = try client.terms(server.challenge) } == .protocolViolation)
        for cut in 0..<client.hello.count {
            #expect(throws: FrameError.self) { try ServerEnd(Array(client.hello[..<cut])) }
        }
        #expect(throws: FrameError.self) { try ServerEnd(client.hello + [0]) }
        for cut in 0..<server.challenge.count {
            let fresh = end(secret)
            #expect(code { _ = try fresh.prove(Array(server.challenge[..<cut])) } == .protocolViolation)
        }
        let proof = try client.prove(server.challenge)
        #expect(code { _ = try client.prove(server.challenge) } == .protocolViolation, "one challenge")
        #expect(server.accept(proof, secret))
        let welcome = server.welcome(terms, secret)
        for cut in 0..<welcome.count {
            #expect(code { _ = try client.terms(Array(welcome[..<cut])) } == .protocolViolation)
        }
    }

    @Test(arguments: [
        Terms(
            instance: [UInt8](repeating: 5, count: 16), byteCount: 0, isReadOnly: true,
            requestByteLimit: 1 << 20,
            windowRequests: 256, windowByteCount: 8 << 20),
        Terms(
            instance: [UInt8](repeating: 5, count: 16), byteCount: 1, isReadOnly: true, requestByteLimit: 100,
            windowRequests: 256, windowByteCount: 8 << 20),
        Terms(
            instance: [UInt8](repeating: 5, count: 16), byteCount: 1, isReadOnly: true,
            requestByteLimit: 1 << 20,
            windowRequests: 0, windowByteCount: 8 << 20),
        Terms(
            instance: [UInt8](repeating: 5, count: 16), byteCount: 1, isReadOnly: true,
            requestByteLimit: 1 << 20,
            windowRequests: 1, windowByteCount: 4096),
    ])
    func `terms under which nothing can be done are refused`(_ terms: Terms) throws {
        let (client, server) = try begin(secret)
        #expect(server.accept(try client.prove(server.challenge), secret))
        #expect(code { _ = try client.terms(server.welcome(terms, secret)) } == .protocolViolation)
    }
}
