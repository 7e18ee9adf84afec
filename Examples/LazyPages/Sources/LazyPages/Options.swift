import ArgumentParser

/// The options of `criu lazy-pages`, as those who call it have them.
struct Options: ParsableArguments {
    @Argument(help: "May be 'lazy-pages', so that the program can be called in criu's place.")
    var command: String?

    @Option(name: [.customShort("D"), .long], help: "The folder with the images.")
    var imagesDir = "."

    @Option(
        name: [.customShort("W"), .long],
        help: "The folder with the socket 'lazy-pages.socket' and the log; that of the images by default.")
    var workDir: String?

    @Option(name: [.customShort("o"), .long], help: "The log; standard error if there is none.")
    var logFile: String?

    @Option(help: "From 0 to 4: nothing, errors, warnings, what happens, all. -v4 and -vvvv are the same.")
    var verbosity = 2

    @Option(help: "A descriptor that a zero byte is written to when a restore can connect.")
    var statusFd: Int32?

    @Flag(help: "Get the pages from a page server, not from the images.")
    var pageServer = false

    @Option(help: "The page server's address or name.")
    var address = "127.0.0.1"

    @Option(help: "The page server's port.")
    var port: UInt16?

    @Option(help: "A connection to the page server, as a descriptor that was inherited.")
    var psSocket: Int32?

    @Option(
        help: ArgumentHelp(
            "How long the page server may take for an answer, in seconds.", visibility: .hidden))
    var pageServerTimeout = 60.0

    @Flag(name: [.customShort("d"), .long], help: "Go on in the background once a restore can connect.")
    var daemon = false

    @Option(help: "A file for the number of the process in the background.")
    var pidfile: String?

    @Flag(help: "Without effect: there is no configuration.")
    var noDefaultConfig = false

    @Flag(help: "Not supported: use a tunnel.")
    var tls = false

    func validate() throws {
        guard command == nil || command == "lazy-pages" else {
            throw ValidationError(
                "'\(command ?? "")' is not what this program is for: it is lazy-pages only.")
        }
        guard !tls else { throw ValidationError("--tls is not supported: use a tunnel.") }
        guard (0...4).contains(verbosity) else { throw ValidationError("--verbosity is from 0 to 4.") }
        guard !pageServer || port != nil || psSocket != nil else {
            throw ValidationError("--page-server needs --port or --ps-socket.")
        }
        guard port != 0 else { throw ValidationError("--port is from 1 to 65535.") }
        guard statusFd ?? 0 >= 0, psSocket ?? 0 >= 0 else {
            throw ValidationError("A descriptor is not negative.")
        }
        guard pageServerTimeout > 0, pageServerTimeout <= 1e6 else {
            throw ValidationError("--page-server-timeout is from 0 to 1000000, and not 0.")
        }
        guard pidfile == nil || daemon else { throw ValidationError("--pidfile is for --daemon.") }
    }

    /// Arguments in criu's way, `-v`, `-vvv` and `-v4`, as the parser has them.
    static func normalized(_ arguments: [String]) -> [String] {
        arguments.map { argument in
            guard argument.hasPrefix("-v"), argument.dropFirst().allSatisfy({ $0 == "v" || $0.isNumber })
            else {
                return argument
            }
            let level = argument.dropFirst(2)
            if level.allSatisfy({ $0 == "v" }) { return "--verbosity=\(min(level.count + 1, 4))" }
            return "--verbosity=\(level)"
        }
    }
}
