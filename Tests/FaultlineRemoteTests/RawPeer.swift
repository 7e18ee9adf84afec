import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit

/// A peer that says whatever a test has it say.
struct RawPeer {
    let connection: Connection

    init(connection: Connection) { self.connection = connection }

    init(_ reactor: Reactor, _ address: SocketAddress) async throws {
        connection = try await reactor.connect(to: address)
    }

    func send(_ header: FrameHeader, _ payload: [UInt8] = []) async throws {
        try await connection.write(WireTests.encode(header, payload))
    }

    /// The next frame; nil when the connection has ended.
    func receive() async throws -> (FrameHeader, [UInt8])? {
        do {
            let head = try await connection.readExactly(FrameHeader.byteCount)
            let length = (0..<4).reduce(0) { $0 | Int(head[32 + $1]) << (8 * $1) }
            let payload = try await connection.readExactly(length)
            guard case .frame(let header) = try WireTests.decode(head + payload) else { return nil }
            return (header, payload)
        } catch let error as ReactorError {
            guard [.endOfStream, .connectionReset, .brokenPipe].contains(error.code) else { throw error }
            return nil
        }
    }

    /// Says hello and proves that it knows a secret.
    func shakeHands(_ secret: SharedSecret, export: String = "pages") async throws -> (FrameHeader, [UInt8])?
    {
        var handshake = ClientHandshake(
            export: export, client: (0..<16).map { _ in .random(in: 0...255) }, secret: secret)
        try await send(FrameHeader(.hello), handshake.hello)
        guard let (_, challenge) = try await receive() else { return nil }
        try await send(FrameHeader(.proof), handshake.prove(challenge))
        return try await receive()
    }
}

/// A server that says whatever a test has it say.
struct RawServer {
    let listener: Listener
    let secret: SharedSecret

    init(_ reactor: Reactor, _ secret: SharedSecret) async throws {
        listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        self.secret = secret
    }

    static func terms(byteCount: Int, instance: UInt8 = 1) -> Terms {
        Terms(
            instance: [UInt8](repeating: instance, count: 16), byteCount: byteCount, isReadOnly: false,
            requestByteLimit: 1 << 20, windowRequests: 64, windowByteCount: 4 << 20)
    }

    /// Lets the next client in.
    func accept(_ terms: Terms, proving other: SharedSecret? = nil) async throws -> RawPeer {
        let peer = RawPeer(connection: try await listener.accept())
        guard let (_, hello) = try await peer.receive(), var handshake = try ServerHandshake(hello) else {
            return peer
        }
        try await peer.send(FrameHeader(.challenge), handshake.challenge)
        guard let (_, proof) = try await peer.receive() else { return peer }
        guard handshake.accept(proof, secret) else { return peer }
        try await peer.send(FrameHeader(.welcome), handshake.welcome(terms, other ?? secret))
        return peer
    }
}

/// Stands between a client and a server: cuts, damages and holds up what they say.
final class Proxy: Sendable {
    private struct State {
        var target: SocketAddress
        var pairs: [(Connection, Connection)] = []
        var damages = 0
        var isHeldUp = false
        var answers = 0
    }

    private let reactor: Reactor
    private let listener: Listener
    private let state: Lock<State>
    var address: SocketAddress { listener.address }

    init(_ reactor: Reactor, to target: SocketAddress) async throws {
        self.reactor = reactor
        listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        state = Lock(State(target: target))
        Task(executorPreference: reactor) { [self] in
            for await client in listener.connections {
                let target = state.withLock { $0.target }
                guard let server = try? await reactor.connect(to: target) else {
                    await client.close()
                    continue
                }
                state.withLock { $0.pairs.append((client, server)) }
                Task(executorPreference: reactor) { await self.relay(client, server, damaging: false) }
                Task(executorPreference: reactor) { await self.relay(server, client, damaging: true) }
            }
        }
    }

    private func relay(_ source: Connection, _ target: Connection, damaging: Bool) async {
        while var bytes = try? await source.read(), !bytes.isEmpty {
            let (damages, drops) = state.withLock { state in
                defer { if damaging, state.damages > 0 { state.damages -= 1 } }
                if damaging { state.answers += 1 }
                return (damaging && state.damages > 0, state.isHeldUp)
            }
            if drops { continue }
            if damages { bytes[bytes.count / 2] ^= 0x10 }
            guard (try? await target.write(bytes)) != nil else { break }
        }
        await target.close()
        await source.close()
    }

    /// Breaks the connections there are; false if there are none.
    @discardableResult
    func cut() async -> Bool {
        let pairs = state.withLock { state in
            defer { state.pairs = [] }
            return state.pairs
        }
        for (client, server) in pairs {
            await client.close()
            await server.close()
        }
        return !pairs.isEmpty
    }

    /// Pieces that the server has sent so far.
    var answerCount: Int { state.withLock { $0.answers } }
    /// Turns a bit over in each of the next pieces that the server sends.
    func damage(_ count: Int) { state.withLock { $0.damages = count } }
    /// Swallows whatever is said, without a word.
    func holdUp(_ isHeldUp: Bool) { state.withLock { $0.isHeldUp = isHeldUp } }

    func close() async {
        await listener.close()
        await cut()
    }
}
