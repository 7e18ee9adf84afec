import ArgumentParser
import EventReactor
import Faultline
import Foundation
import Glibc

@main
struct LazyRestore: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lazy-restore",
        abstract: "Serves the memory of virtual machines that resume a snapshot, page by page.")

    @Option(help: "Where monitors connect: a path for a UNIX-domain socket.")
    var socket: String

    @Option(help: "The snapshot's memory file.")
    var memory: String

    @Option(name: .customLong("read-ahead"), help: "How far to fill ahead of what a guest reads, in KiB.")
    var readAheadKiB = 2048

    @Option(help: "A user besides root and this one whose monitors are served.")
    var user: UInt32?

    func validate() throws {
        guard (0...1 << 20).contains(readAheadKiB) else {
            throw ValidationError("--read-ahead is from 0 to 1048576.")
        }
    }

    func run() async throws {
        let reactor = try Reactor.start(.init(name: "lazy-restore"))
        let image = try FileHandler(path: memory)
        // Written by a task of its own: whoever reads the output slowly must not hold the loop.
        let (lines, log) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1000))
        let writer = Task.detached {
            for await line in lines { FileHandle.standardError.write(Data((line + "\n").utf8)) }
        }
        let policy = PeerPolicy { [user] in
            PeerPolicy.rootOrSameUser.permits($0) || $0.userID == user
        }
        let server = try await RestoreServer(
            on: reactor, at: socket, image: image, readAhead: .adaptive(upTo: readAheadKiB << 10),
            policy: policy, log: { log.yield($0) })
        log.yield("serving \(image.byteCount >> 20) MiB of \(memory) at \(socket)")
        let signals = try await reactor.signals(SIGTERM, SIGINT)
        let stopping = Task {
            // The first: no new monitors. The second: those that are left find poisoned pages.
            _ = try await signals.receive()
            log.yield("no more monitors; those that are there are served until they end")
            await server.close()
            _ = try await signals.receive()
            log.yield("ending now")
            await reactor.shutdown()
        }
        do {
            try await server.run()
        } catch {
            // That is what the second signal does.
            guard error.code == .shutDown else { throw error }
        }
        stopping.cancel()
        await signals.cancel()
        await reactor.shutdown()
        log.finish()
        await writer.value
    }
}
