import ArgumentParser
import CheckpointImages
import EventReactor
import Foundation
import Glibc
import Userfault

@main
struct LazyPages: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lazy-pages",
        abstract: "Serves the memory of processes that 'criu restore --lazy-pages' restores.")

    /// The name of the socket, which a restore knows.
    static let socket = "lazy-pages.socket"

    @OptionGroup var options: Options

    static func main() async {
        await main(Options.normalized(Array(CommandLine.arguments.dropFirst())))
    }

    func run() async throws {
        if options.daemon { try Background.goOn(options) }
        let log: Log
        let images: String
        do {
            images = URL(fileURLWithPath: options.imagesDir).standardizedFileURL.path
            try enter(options.workDir ?? images)
            log = try openLog()
        } catch {
            FileHandle.standardError.write(Data("lazy-pages: \(error)\n".utf8))
            throw ExitCode(1)
        }
        do {
            try await serve(ImageFolder(path: images), log)
            log(.information, "all is delivered")
        } catch {
            log(.error, "\(error)")
            await log.finish()
            throw ExitCode(1)
        }
        await log.finish()
    }

    private func serve(_ folder: ImageFolder, _ log: Log) async throws {
        let tree = try folder.processTree()
        let reactor = try Reactor.start(.init(name: "lazy-pages"))
        let signals = try await reactor.signals(SIGTERM, SIGINT)
        let interruption = Task {
            _ = try await signals.receive()
            log(.error, "interrupted: what is not there yet is lost")
            // Whoever touches it gets SIGBUS rather than zeroes.
            await reactor.shutdown()
            await log.finish()
            Glibc.exit(1)
        }
        defer { interruption.cancel() }
        let listener = try await reactor.listen(on: .unix(path: Self.socket), listenerOptions(log))
        let pageServer = options.pageServer ? try await connect(reactor, log) : nil
        try reportReadiness()
        log(.information, "waiting for a restore of \(tree.processIDs.count) processes at \(Self.socket)")
        let server = LazyPagesServer(reactor: reactor, folder: folder, pageServer: pageServer, log: log)
        do {
            try await server.run(tree, listener)
        } catch {
            await pageServer?.end()
            await reactor.shutdown()
            throw error
        }
        if let pageServer {
            // All is delivered, whatever it says.
            do {
                let status = try await pageServer.close(forced: options.psSocket != nil)
                if status != 0 { log(.warning, "the page server ended with status \(status)") }
            } catch {
                log(.warning, "\(error)")
            }
        }
        await signals.cancel()
        await reactor.shutdown()
    }

    private func listenerOptions(_ log: Log) -> Listener.Options {
        var options = Listener.Options()
        options.peerPolicy = .rootOrSameUser
        options.onRefusal = { refusal in
            let user = refusal.credentials.map { "user \($0.userID)" } ?? "somebody"
            log(.warning, "\(user) may not hand memory over, and was not let in")
        }
        return options
    }

    private func connect(_ reactor: Reactor, _ log: Log) async throws -> PageServer {
        let connection: Connection
        if let socket = options.psSocket {
            connection = try await reactor.adopt(socket: socket)
        } else {
            let address = try Resolver.address(of: options.address, port: options.port ?? 0)
            do {
                connection = try await reactor.connect(to: address)
            } catch {
                throw LazyPagesError(.pageServerLost, "there is no page server at \(address): \(error)")
            }
            log(.information, "connected to the page server at \(address)")
        }
        let server = PageServer(
            connection, pageSize: SystemPage.size, patience: .seconds(options.pageServerTimeout))
        await server.start()
        return server
    }

    private func enter(_ folder: String) throws {
        guard chdir(folder) == 0 else {
            throw LazyPagesError(
                .badOptions, "\(folder) cannot be entered: \(String(cString: strerror(errno)))")
        }
    }

    private func openLog() throws -> Log {
        // Nothing at all is a level as well.
        let level = Log.Level(rawValue: max(options.verbosity, 1)) ?? .debug
        guard options.verbosity > 0 else { return Log(level) { _ in } }
        guard let path = options.logFile else { return Log(level, to: .standardError) }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw LazyPagesError(
                .badOptions, "\(path) cannot be written: \(String(cString: strerror(errno)))")
        }
        return Log(level, to: FileHandle(fileDescriptor: descriptor, closeOnDealloc: true))
    }

    /// Whoever called waits for this byte before it starts the restore.
    private func reportReadiness() throws {
        guard let descriptor = options.statusFd else { return }
        var byte: UInt8 = 0
        guard write(descriptor, &byte, 1) == 1 else {
            throw LazyPagesError(
                .badOptions,
                "--status-fd \(descriptor) cannot be written to: \(String(cString: strerror(errno)))")
        }
        close(descriptor)
    }
}
