// Pages from another process, or another machine: a handler that asks a server over a socket. The server and the
// pager share one reactor here, so a page fault, two sockets and a timer are served by one thread.
// Run it with `swift run AsyncHandler`.

import EventReactor
import Faultline

// snippet.handler
/// Asks for each request over a connection of its own: eight bytes with the offset, eight with the length.
struct RemotePages: FaultHandler {
    let reactor: Reactor
    let server: SocketAddress

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        let connection = try await reactor.connect(to: server)
        try await connection.write(encode(request.offset) + encode(request.byteCount))
        var pages = try request.makeBuffer()
        pages.write(try await connection.readExactly(request.byteCount))
        await connection.close()
        return .copy(pages)
    }
}
// snippet.end

/// What the server holds at `offset`: the number of the 4096 bytes it belongs to.
func contents(_ offset: Int, _ byteCount: Int) -> [UInt8] {
    (offset..<offset + byteCount).map { UInt8(truncatingIfNeeded: $0 / 4096) }
}

/// Answers one request, as slowly as a server far away.
func serve(_ connection: Connection, on reactor: Reactor) async throws {
    let offset = decode(try await connection.readExactly(8))
    let byteCount = decode(try await connection.readExactly(8))
    try await reactor.sleep(for: .milliseconds(2))
    try await connection.write(contents(offset, byteCount))
    await connection.close()
}

func encode(_ number: Int) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
func decode(_ bytes: [UInt8]) -> Int { bytes.reversed().reduce(0) { $0 << 8 | Int($1) } }

let reactor = try Reactor.start()
let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
let server = Task(executorPreference: reactor) {
    for await connection in listener.connections {
        Task(executorPreference: reactor) { try await serve(connection, on: reactor) }
    }
}

let pager = try await Pager(on: reactor)
let pages = RemotePages(reactor: reactor, server: listener.address)
let region = try await pager.map(byteCount: 1 << 20, handler: pages)

// While this thread waits for a page, the reactor goes on: it is what serves the page.
for offset in [0, 5 * 4096, 200 * 4096] {
    print("byte \(offset) is \(region.load(fromByteOffset: offset, as: UInt8.self))")
}

await pager.shutdown()
await listener.close()
await server.value
await reactor.shutdown()
