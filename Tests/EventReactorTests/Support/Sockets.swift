import EventReactor
import Glibc

/// Two connections of one reactor that talk to each other over loopback.
struct ConnectionPair: Sendable {
    let near: Connection
    let far: Connection

    static func make(
        on reactor: Reactor, _ options: Connection.Options = .init()
    ) async throws -> ConnectionPair {
        var listening = Listener.Options()
        listening.connections = options
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0), listening)
        let near = try await reactor.connect(to: listener.address, options)
        let far = try await listener.accept()
        await listener.close()
        return ConnectionPair(near: near, far: far)
    }
}

/// Sends back what comes, until the peer ends the stream.
func echo(_ connection: Connection) async throws(ReactorError) {
    while true {
        let bytes = try await connection.read()
        if bytes.isEmpty { return try await connection.finishWriting() }
        try await connection.write(bytes)
    }
}

/// A path for a UNIX socket that nobody else uses.
func temporarySocketPath() -> String {
    "/tmp/faultline-\(getpid())-\(UInt32.random(in: 0 ... .max)).socket"
}

/// Bytes that differ from place to place.
func pattern(_ count: Int, from start: Int = 0) -> [UInt8] {
    (start..<start + count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
