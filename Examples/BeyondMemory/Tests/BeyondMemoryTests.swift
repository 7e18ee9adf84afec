import FaultlineTestKit
import Foundation
import Testing
import Userfault

/// The program, run as the README says.
@Suite(.requiresUserfaultfd([.writeProtectFaults]), .timeLimit(.minutes(5)))
struct BeyondMemoryTests {
    /// Its exit status, what it says, and what it complains about.
    private func run(_ arguments: [String]) async throws -> (Int32, String, String) {
        let process = Process()
        let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        process.executableURL = folder.appendingPathComponent("beyond-memory")
        process.arguments = arguments
        let (output, errors) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        return await withCheckedContinuation { continuation in
            Thread.detachNewThread {
                let said = output.fileHandleForReading.readDataToEndOfFile()
                let complained = errors.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(
                    returning: (
                        process.terminationStatus, String(decoding: said, as: UTF8.self),
                        String(decoding: complained, as: UTF8.self)
                    ))
            }
        }
    }

    private func withFile<R>(_ data: Data, _ body: (URL) async throws -> R) async throws -> R {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(
            "beyond-\(UUID().uuidString)")
        try data.write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try await body(file)
    }

    @Test(arguments: ["random", "equal", "descending", "few"])
    func `a file eight times larger than the budget is sorted`(kind: String) async throws {
        let count = kind == "few" ? 1000 : 1 << 20
        var numbers = (0..<count).map { index -> UInt64 in
            switch kind {
            case "equal": UInt64(index % 3)
            case "descending": UInt64(count - index)
            default: UInt64.random(in: .min ... .max)
            }
        }
        let data = numbers.withUnsafeBytes { Data($0) }
        try await withFile(data) { file in
            let (status, said, complained) = try await run([file.path, "1"])
            #expect(status == 0 && complained.isEmpty, "\(complained)")
            #expect(said.hasPrefix("\(count) numbers sorted in "))
            if kind == "random" { #expect(!said.contains(" 0 pages evicted")) }
            numbers.sort()
            let sorted = try Data(contentsOf: file)
            #expect(sorted == numbers.withUnsafeBytes { Data($0) })
        }
    }

    @Test func `what cannot be sorted is refused, and stays as it is`() async throws {
        try await withFile(Data([1, 2, 3])) { file in
            let (status, _, complained) = try await run([file.path, "1"])
            #expect(status == 1 && complained.contains("has 3 bytes"))
            #expect(try Data(contentsOf: file) == Data([1, 2, 3]))
            #expect(try await run([file.path, "0"]).0 == 64)
            #expect(try await run([file.path]).0 == 64)
            #expect(try await run([file.path + "-none", "1"]).0 == 1)
        }
    }
}
