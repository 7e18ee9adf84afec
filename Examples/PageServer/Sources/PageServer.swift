// Serves the pages of a file to whoever knows a secret. The README beside this file shows how to run it.

import EventReactor
import Faultline
import FaultlineRemote
import Glibc

@main
struct PageServerProgram {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        guard arguments.count == 4, let port = UInt16(arguments[1]), let mebibytes = Int(arguments[3]) else {
            say("usage: page-server PORT SECRET-FILE MEBIBYTES STORE-FILE")
            exit(64)
        }
        let reactor = try Reactor.start(.init(name: "page-server"))
        let secret = try SharedSecret(contentsOfFile: arguments[2])
        let store = try FileStore(
            path: arguments[4],
            options: FileStore.Options(access: .readWriteCreating, byteCount: mebibytes << 20))

        var options = PageServer.Options()
        options.onEvent = { say("\($0)") }
        let server = try await PageServer.start(
            on: reactor, at: .ipv4("127.0.0.1", port: port), exports: ["memory": .init(store)],
            secret: secret, options: options)
        say("listening on \(server.address)")

        for await _ in try await reactor.signals(SIGTERM, SIGINT) { break }
        // What was received is answered; the clients wait for the next server.
        await server.shutdown()
        say("\(await server.statistics())")
        await reactor.shutdown()
    }
}

/// Prints a line at once, also to a pipe.
private func say(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = write(STDOUT_FILENO, bytes, bytes.count)
}
