import FaultlineTestKit
import Foundation
import Testing
import Userfault

/// The programs, run as the READMEs say.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct RemoteMemoryTests {
    /// A program of this package, which lies beside the tests. It is killed after two minutes, when a test waits in vain.
    final class Program: @unchecked Sendable {
        // Used by one test at a time; `Process` is safe to signal from other threads.
        let process = Process()
        private let output = Pipe()
        private var said = ""

        init(_ name: String, _ arguments: [String]) throws {
            let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
            process.executableURL = folder.appendingPathComponent(name)
            process.arguments = arguments
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            try process.run()
            DispatchQueue.global().asyncAfter(deadline: .now() + 120) { [weak self] in self?.signal(SIGKILL) }
        }

        /// Waits for a line that contains `text`, on a thread of its own: there may be few in the pool. Nil at the end.
        func line(containing text: String) async -> String? {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in continuation.resume(returning: nextLine(containing: text))
                }
            }
        }

        private func nextLine(containing text: String) -> String? {
            while true {
                while let end = said.firstIndex(of: "\n") {
                    let line = String(said[..<end])
                    said.removeSubrange(...end)
                    if line.contains(text) { return line }
                }
                let data = output.fileHandleForReading.availableData
                if data.isEmpty { return nil }
                said += String(decoding: data, as: UTF8.self)
            }
        }

        func signal(_ number: Int32) {
            if process.isRunning { kill(process.processIdentifier, number) }
        }

        /// Its exit status, or 128 and the signal that killed it.
        func end() async -> Int32 {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread { [self] in
                    process.waitUntilExit()
                    let isExit = process.terminationReason == .exit
                    continuation.resume(
                        returning: isExit ? process.terminationStatus : 128 + process.terminationStatus)
                }
            }
        }

        deinit { signal(SIGKILL) }
    }

    private func folder() throws -> URL {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "faultline-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data((0..<32).map { _ in UInt8.random(in: 0...255) }).write(
            to: folder.appendingPathComponent("secret"))
        return folder
    }

    @Test func `remote memory survives a server that is killed under load, with no wrong byte`() async throws
    {
        let folder = try folder()
        defer { try? FileManager.default.removeItem(at: folder) }
        let secret = folder.appendingPathComponent("secret").path
        let store = folder.appendingPathComponent("pages").path
        func serve(_ port: String) async throws -> (Program, String) {
            let server = try Program("page-server", [port, secret, "32", store])
            let line = try #require(await server.line(containing: "listening on"))
            return (server, String(line.split(separator: ":").last ?? ""))
        }
        var (server, port) = try await serve("0")
        let memory = try Program("remote-memory", [port, secret, "600"])
        #expect(await memory.line(containing: "32 MiB of remote memory") != nil)
        // The server may say so before the client has heard of it.
        func isConnected(_ times: Int) async -> Bool {
            while let line = await memory.line(containing: "so far, connected ") {
                if let count = line.split(separator: " ").dropLast().last.flatMap({ Int($0) }), count >= times
                {
                    return true
                }
            }
            return false
        }
        for times in 1...3 {
            #expect(await server.line(containing: "connected") != nil)
            #expect(await isConnected(times))
            // It is at work when the server is killed.
            for _ in 0..<2 { #expect(await memory.line(containing: "accesses so far") != nil) }
            server.signal(SIGKILL)
            #expect(await server.end() == 128 + SIGKILL)
            (server, _) = try await serve(port)
        }
        #expect(await server.line(containing: "connected") != nil)
        #expect(await isConnected(4))
        for _ in 0..<2 { #expect(await memory.line(containing: "accesses so far") != nil) }
        memory.signal(SIGINT)
        let summary = try #require(await memory.line(containing: " connections"))
        #expect(await memory.line(containing: "wrong") == "no wrong byte", "\(summary)")
        #expect(await memory.end() == 0)
        let connections = summary.split(separator: ", ").compactMap { part in
            part.hasSuffix(" connections") ? Int(part.prefix { $0.isNumber }) : nil
        }
        #expect(connections.first ?? 0 >= 4, "\(summary)")
        // An end in order.
        server.signal(SIGTERM)
        #expect(await server.end() == 0)
    }

    @Test func `another secret is refused, and the program says so`() async throws {
        let (ours, theirs) = (try folder(), try folder())
        defer { for folder in [ours, theirs] { try? FileManager.default.removeItem(at: folder) } }
        let server = try Program(
            "page-server",
            ["0", ours.appendingPathComponent("secret").path, "1", ours.appendingPathComponent("pages").path])
        let line = try #require(await server.line(containing: "listening on"))
        let memory = try Program(
            "remote-memory",
            [
                String(line.split(separator: ":").last ?? ""), theirs.appendingPathComponent("secret").path,
                "1",
            ])
        #expect(await server.line(containing: "refused")?.contains("does not know the secret") == true)
        #expect(await memory.end() != 0)
        server.signal(SIGTERM)
        #expect(await server.end() == 0)
    }
}
