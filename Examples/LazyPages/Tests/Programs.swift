import Foundation
import Testing

/// Programs that were built beside the tests.
enum Programs {
    static let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()

    struct Result: Sendable {
        var status: Int32
        var output: String
    }

    /// A program under way.
    final class Running: @unchecked Sendable {
        // Touched by whoever started it; `Process` is safe to signal and to wait for from other threads.
        private let process = Process()
        private let input = Pipe()
        private let output = Pipe()
        private let errors = Pipe()

        convenience init(_ name: String, _ arguments: [String]) throws {
            try self.init(at: folder.appendingPathComponent(name), arguments)
        }

        /// A command of a shell, whose first argument is `$0`.
        convenience init(shell command: String, _ arguments: [String]) throws {
            try self.init(at: URL(fileURLWithPath: "/bin/sh"), ["-c", command] + arguments)
        }

        private init(at program: URL, _ arguments: [String]) throws {
            process.executableURL = program
            process.arguments = arguments
            // A bus error is what some of them must get: nobody needs to know where.
            process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]
            ) {
                $1
            }
            process.standardInput = input
            process.standardOutput = output
            process.standardError = errors
            try process.run()
        }

        var processID: Int32 { process.processIdentifier }

        func signal(_ number: Int32) { kill(process.processIdentifier, number) }

        func closeInput() { try? input.fileHandleForWriting.close() }

        /// Waits for its end on threads of their own: there may be few in the pool. The result has what it has written, but
        /// for what was taken before.
        func end() async -> Result {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    let complaints = ReadWhole(errors.fileHandleForReading)
                    let text = output.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    let result = Result(
                        status: process.terminationReason == .exit
                            ? process.terminationStatus : 128 + process.terminationStatus,
                        output: String(decoding: text + complaints.wait(), as: UTF8.self))
                    continuation.resume(returning: result)
                }
            }
        }

        /// Waits until it has written something to its output, or closed it.
        func firstOutput() async -> String {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    continuation.resume(
                        returning: String(decoding: output.fileHandleForReading.availableData, as: UTF8.self))
                }
            }
        }
    }

    static func run(_ name: String, _ arguments: [String]) async throws -> Result {
        try await Running(name, arguments).end()
    }
}

/// Reads a pipe to its end on a thread of its own.
private final class ReadWhole: @unchecked Sendable {
    // Written before the semaphore is raised, read after.
    private var data = Data()
    private let isDone = DispatchSemaphore(value: 0)

    init(_ file: FileHandle) {
        Thread.detachNewThread { [self] in
            data = file.readDataToEndOfFile()
            isDone.signal()
        }
    }

    func wait() -> Data {
        isDone.wait()
        return data
    }
}

/// A folder that is removed at the end, with a checkpoint in it.
final class Scene: Sendable {
    let folder: String
    let kind: [String]
    var images: String { folder + "/images" }
    var work: String { folder + "/work" }
    var socket: String { work + "/lazy-pages.socket" }

    /// - Parameter kind: what the stand-in is to make.
    init(_ kind: String...) async throws {
        self.kind = kind
        folder =
            FileManager.default.temporaryDirectory.appendingPathComponent(
                "lazy-pages-\(UUID().uuidString.prefix(8))"
            ).path
        for path in [folder, images, work] {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        }
        let made = try await Programs.run("restore-stand-in", ["images", "--images", images] + kind)
        try #require(made.status == 0, "\(made.output)")
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// Starts the daemon as those do who use it, and waits until a restore can connect.
    func daemon(_ more: String..., expectsReadiness: Bool = true) async throws -> Programs.Running {
        let status = folder + "/status-\(UUID().uuidString.prefix(4))"
        try #require(mkfifo(status, 0o600) == 0)
        // Opened for reading and writing: so that nobody waits for the other end.
        let descriptor = open(status, O_RDWR)
        try #require(descriptor >= 0)
        defer { close(descriptor) }
        // `Process` passes on nothing but the three usual ones.
        let shell =
            #"exec "$0" lazy-pages --no-default-config --log-file lazy-pages.log --verbosity=4 --status-fd 4 "$@" 4<>"$STATUS""#
        let program = Programs.folder.appendingPathComponent("lazy-pages").path
        let running = try Programs.Running(
            shell: "STATUS='\(status)'; " + shell,
            [program, "--images-dir", images, "--work-dir", work] + more)
        if expectsReadiness { try await readByte(descriptor, of: running) }
        return running
    }

    private func readByte(_ descriptor: Int32, of running: Programs.Running) async throws {
        let end = ContinuousClock.now + .seconds(30)
        var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&request, 1, 0) == 0 {
            try #require(ContinuousClock.now < end, "no restore can connect: \(log)")
            try await Task.sleep(for: .milliseconds(2))
        }
        var byte: UInt8 = 1
        try #require(read(descriptor, &byte, 1) == 1)
        #expect(byte == 0)
    }

    /// What the daemon has written to its log.
    var log: String { (try? String(contentsOfFile: work + "/lazy-pages.log", encoding: .utf8)) ?? "" }

    /// A restore under way.
    func restore(_ more: String...) throws -> Programs.Running {
        try Programs.Running("restore-stand-in", ["restore", "--work", work] + kind + more)
    }

    /// A page server, and the port that it is at.
    func pageServer(_ more: String...) async throws -> (Programs.Running, port: String) {
        let server = try Programs.Running("restore-stand-in", ["page-server"] + kind + more)
        let port = await server.firstOutput().trimmingCharacters(in: .whitespacesAndNewlines)
        return (server, port)
    }

    /// Damages an image.
    func change(_ image: String, _ body: (inout Data) -> Void) throws {
        let file = URL(fileURLWithPath: images).appendingPathComponent(image)
        var data = try Data(contentsOf: file)
        body(&data)
        try data.write(to: file)
    }
}
