import Foundation
import Testing

/// A server under way, in a folder of its own that is removed at the end.
final class RunningServer: @unchecked Sendable {
    // Touched by whoever started it; `Process` is safe to signal and to wait for from other threads.
    private let process: Process
    private let errors = Pipe()
    let folder: String
    private let ownsFolder: Bool
    var image: String { folder + "/image" }
    var socket: String { folder + "/socket" }

    static let built = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()

    static func makeFolder() throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "snapshot-server-\(UUID().uuidString.prefix(8))"
        ).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        return folder
    }

    /// Starts a server, and waits until it can be connected to.
    ///
    /// - Parameter folder: with an image, perhaps; nil for a new one.
    static func start(_ arguments: String..., in folder: String? = nil) async throws -> RunningServer {
        let server = try RunningServer(arguments, in: folder)
        let said = try await server.said(until: "ready at")
        try #require(said.contains("ready at"), "\(said)")
        return server
    }

    private init(_ arguments: [String], in folder: String?) throws {
        ownsFolder = folder == nil
        self.folder = try folder ?? Self.makeFolder()
        process = Process()
        process.executableURL = Self.built.appendingPathComponent("snapshot-server")
        process.arguments =
            ["--unix", self.folder + "/socket", "--image", self.folder + "/image"] + arguments
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
        if ownsFolder { try? FileManager.default.removeItem(atPath: folder) }
    }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    func said(until text: String) async throws -> String {
        try await onThread { [errors] in
            var seen = ""
            while !seen.contains(text) {
                let more = errors.fileHandleForReading.availableData
                if more.isEmpty { break }
                seen += String(decoding: more, as: UTF8.self)
            }
            return seen
        }
    }

    /// Waits for its end.
    func end() async throws -> (status: Int32, said: String) {
        try await onThread { [process, errors] in
            let said = errors.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            let status = process.terminationStatus
            return (
                process.terminationReason == .exit ? status : 128 + status,
                String(decoding: said, as: UTF8.self)
            )
        }
    }

    /// Runs a server that is expected to end by itself, or any program; it is killed after a minute.
    static func run(
        _ arguments: [String], of program: URL = built.appendingPathComponent("snapshot-server")
    ) async throws -> (status: Int32, output: String) {
        let process = Process()
        let output = Pipe()
        process.executableURL = program
        process.arguments = arguments
        process.standardError = output
        process.standardOutput = output
        try process.run()
        let patience = Task { [process] in
            try await Task.sleep(for: .seconds(60))
            kill(process.processIdentifier, SIGKILL)
        }
        defer { patience.cancel() }
        return try await onThread { [process] in
            let text = output.fileHandleForReading.readDataToEndOfFile()
            process.waitUntilExit()
            return (process.terminationStatus, String(decoding: text, as: UTF8.self))
        }
    }
}
