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
        private let output = Pipe()
        private let errors = Pipe()

        init(_ name: String, _ arguments: [String], input: Pipe? = nil) throws {
            process.executableURL = folder.appendingPathComponent(name)
            process.arguments = arguments
            if let input { process.standardInput = input }
            process.standardOutput = output
            process.standardError = errors
            try process.run()
        }

        var processID: Int32 { process.processIdentifier }

        func signal(_ number: Int32) { kill(process.processIdentifier, number) }

        /// Waits for its end on a thread of its own: there may be few in the pool.
        func end() async -> Result {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    let text = output.fileHandleForReading.readDataToEndOfFile()
                    process.waitUntilExit()
                    continuation.resume(
                        returning: Result(
                            status: process.terminationReason == .exit
                                ? process.terminationStatus : 128 + process.terminationStatus,
                            output: String(decoding: text, as: UTF8.self)))
                }
            }
        }

        /// Waits until it has written `count` bytes or more to its output, or closed it.
        func firstOutput() async -> String {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    continuation.resume(
                        returning: String(decoding: output.fileHandleForReading.availableData, as: UTF8.self))
                }
            }
        }

        /// What it says on its error output until `text` is part of it, or it ends.
        func errorOutput(until text: String) async -> String {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    var seen = ""
                    while !seen.contains(text) {
                        let more = errors.fileHandleForReading.availableData
                        if more.isEmpty { break }
                        seen += String(decoding: more, as: UTF8.self)
                    }
                    continuation.resume(returning: seen)
                }
            }
        }
    }

    static func run(_ name: String, _ arguments: [String]) async throws -> Result {
        try await Running(name, arguments).end()
    }
}

/// A folder that is removed at the end, with an image in it.
final class Scene: Sendable {
    let folder: String
    let imageMiB: Int
    var image: String { folder + "/image" }
    var socket: String { folder + "/socket" }

    init(imageMiB: Int) async throws {
        self.imageMiB = imageMiB
        folder =
            FileManager.default.temporaryDirectory.appendingPathComponent(
                "lazy-restore-\(UUID().uuidString.prefix(8))"
            ).path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        let made = try await Programs.run(
            "monitor-stand-in", ["--make-image", image, "--mib", "\(imageMiB)"])
        try #require(made.status == 0)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    /// What a monitor is called with.
    func monitor(_ more: String...) -> [String] { ["--socket", socket, "--mib", "\(imageMiB)"] + more }
}
