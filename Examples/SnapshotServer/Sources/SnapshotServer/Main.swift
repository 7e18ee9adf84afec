import ArgumentParser
import EventReactor
import Foundation
import Glibc

/// What a server is made with.
struct Settings: Sendable {
    var image: String
    /// In bytes; nil as the image has it.
    var memory: Int?
    var valueLimit: Int
    var addresses: [SocketAddress]
    var savesOnExit: Bool
    var loadsFirst: Bool
    var saving: SavingMethod
}

@main
struct SnapshotServer: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot-server",
        abstract:
            "Serves keys and values to clients of Redis: restored as they are needed, saved without a fork.")

    @Option(help: "The image that is restored, if there is one, and saved.")
    var image: String

    @Option(help: "The memory, such as 512m or 4g; as the image has it, or else 256m.")
    var memory: ByteCount?

    @Option(help: "The port; 0 for any. 6379, unless there is --unix.")
    var port: UInt16?

    @Option(help: "The numeric address to listen on.")
    var bind = "127.0.0.1"

    @Option(help: "A path for a UNIX-domain socket.")
    var unix: String?

    @Option(help: "The longest value.")
    var maxValue = ByteCount(bytes: 64 << 20)

    @Flag(help: "Save when the program is told to end.")
    var saveOnExit = false

    @Option(help: "When to load the image though no client has come, in seconds.")
    var prefetchDelay = 1.0

    @Flag(help: "Load all of the image before anybody is served: what others do, to be compared with.")
    var eager = false

    @Option(help: "How images are taken; fork is what others do, to be compared with.")
    var snapshot = SavingMethod.live

    func validate() throws {
        guard (1 << 20...1 << 44).contains(memory?.bytes ?? 1 << 20) else {
            throw ValidationError("--memory is from 1m to 16t.")
        }
        guard (1...512 << 20).contains(maxValue.bytes) else {
            throw ValidationError("--max-value is from 1 to 512m.")
        }
        guard (0...86400).contains(prefetchDelay) else {
            throw ValidationError("--prefetch-delay is from 0 to 86400.")
        }
    }

    func run() async throws {
        // Written by a task of its own: whoever reads the output slowly must not hold up anybody.
        let (lines, log) = AsyncStream.makeStream(of: String.self, bufferingPolicy: .bufferingNewest(1000))
        let writer = Task.detached {
            for await line in lines {
                try? FileHandle.standardError.write(contentsOf: Data("snapshot-server: \(line)\n".utf8))
            }
        }
        var status: Int32 = 0
        do {
            try await serve { log.yield($0) }
        } catch {
            log.yield("\(error)")
            status = 1
        }
        log.finish()
        await writer.value
        if status != 0 { throw ExitCode(status) }
    }

    private func serve(_ log: @escaping @Sendable (String) -> Void) async throws {
        var addresses: [SocketAddress] = []
        if let unix { addresses.append(.unix(path: unix)) }
        if port != nil || unix == nil {
            let port = port ?? 6379
            addresses.append(bind.contains(":") ? .ipv6(bind, port: port) : .ipv4(bind, port: port))
        }
        let server = try await Server(
            Settings(
                image: image, memory: memory?.bytes, valueLimit: maxValue.bytes, addresses: addresses,
                savesOnExit: saveOnExit, loadsFirst: eager, saving: snapshot), log: log)
        let signals = try await server.signals(SIGTERM, SIGINT, save: SIGUSR1)
        log("ready at \(server.addresses.map(\.description).joined(separator: " and "))")
        defer { signals.cancel() }
        try await server.run(prefetchDelay: .seconds(prefetchDelay))
        log("ended")
    }
}

/// A number of bytes, such as `64k`, `512mb` or `4g`.
struct ByteCount: ExpressibleByArgument {
    var bytes: Int

    init(bytes: Int) { self.bytes = bytes }

    init?(argument: String) {
        let digits = argument.prefix { $0.isNumber }
        let units = ["": 0, "k": 10, "kb": 10, "m": 20, "mb": 20, "g": 30, "gb": 30, "t": 40, "tb": 40]
        guard let number = Int(digits), let shift = units[argument.dropFirst(digits.count).lowercased()],
            number <= Int.max >> shift
        else { return nil }
        bytes = number << shift
    }

    var defaultValueDescription: String { bytes % (1 << 20) == 0 ? "\(bytes >> 20)m" : "\(bytes)" }
}
