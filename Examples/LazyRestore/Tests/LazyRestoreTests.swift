import EventReactor
import Faultline
import Foundation
import Testing

@testable import LazyRestore

/// Many monitors, well-behaved and others, on one server.
@Suite(.timeLimit(.minutes(2)))
struct LazyRestoreTests {
    private final class Journal: @unchecked Sendable {
        // Guarded by the lock.
        private var lines: [String] = []
        private let lock = NSLock()

        func add(_ line: String) { lock.withLock { lines.append(line) } }

        func count(of text: String) -> Int { lock.withLock { lines.filter { $0.contains(text) }.count } }

        var all: [String] { lock.withLock { lines } }

        func wait(for text: String, count: Int = 1) async throws {
            let end = ContinuousClock.now + .seconds(20)
            while self.count(of: text) < count {
                try #require(ContinuousClock.now < end, "no '\(text)' in \(all)")
                try await Task.sleep(for: .milliseconds(5))
            }
        }
    }

    private func withServer(
        imageMiB: Int, policy: PeerPolicy = .rootOrSameUser,
        _ body: (Scene, Journal) async throws -> Void
    ) async throws {
        let scene = try await Scene(imageMiB: imageMiB)
        let journal = Journal()
        let reactor = try Reactor.start()
        let server = try await RestoreServer(
            on: reactor, at: scene.socket, image: FileHandler(path: scene.image), policy: policy,
            log: { journal.add($0) })
        let running = Task { try await server.run() }
        try await body(scene, journal)
        await server.close()
        try await running.value
        await reactor.shutdown()
    }

    @Test func `many monitors at once find their memory, whole and in parts`() async throws {
        try await withServer(imageMiB: 32) { scene, journal in
            let kinds: [[String]] = [
                scene.monitor(), scene.monitor("--regions", "5", "--descending"),
                scene.monitor("--split", "1"), scene.monitor("--padding", "3000", "--regions", "3"),
                scene.monitor("--threads", "16", "--seed", "7"), scene.monitor("--percent", "10"),
                scene.monitor("--old-field"), scene.monitor("--balloon", "--regions", "2"),
            ]
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (number, arguments) in (kinds + kinds).enumerated() {
                    group.addTask {
                        let result = try await Programs.run("monitor-stand-in", arguments)
                        #expect(result.status == 0, "\(number): \(arguments.dropFirst(4)) \(result.output)")
                        #expect(result.output.contains("\"wrong\":0"))
                    }
                }
                try await group.waitForAll()
            }
            try await journal.wait(for: "gone after", count: 16)
            #expect(journal.count(of: "refused") == 0)
        }
    }

    @Test func `a monitor that hands over too little is refused, and holds up nobody`() async throws {
        try await withServer(imageMiB: 4) { scene, journal in
            let bad = [
                scene.monitor("--no-descriptor"), scene.monitor("--half"),
                ["--socket", scene.socket, "--mib", "2", "--no-descriptor"],
            ]
            for arguments in bad {
                let running = try Programs.Running("monitor-stand-in", arguments)
                if arguments.contains("--half") {
                    // It waits for an answer that does not come before the time limit; a well-behaved one is served meanwhile.
                    let other = try await Programs.run("monitor-stand-in", scene.monitor())
                    #expect(other.status == 0)
                }
                #expect(await running.end().status == 0)
            }
            try await journal.wait(for: "refused", count: 3)
            #expect(journal.count(of: "the regions have 2097152 bytes, the image has 4194304") == 1)
        }
    }

    @Test func `whoever the policy does not name is not served`() async throws {
        try await withServer(imageMiB: 4, policy: PeerPolicy { _ in false }) { scene, journal in
            _ = try await Programs.run("monitor-stand-in", scene.monitor("--no-descriptor"))
            try await journal.wait(for: "refused")
        }
    }

    @Test func `a monitor that is killed ends what served it, and nothing else`() async throws {
        try await withServer(imageMiB: 8) { scene, journal in
            let monitors = try (0..<4).map { _ in
                try Programs.Running("monitor-stand-in", scene.monitor("--wait"))
            }
            for monitor in monitors {
                #expect(await monitor.firstOutput().contains("\"wrong\":0"))
            }
            monitors[1].signal(SIGKILL)
            #expect(await monitors[1].end().status == 128 + SIGKILL)
            try await journal.wait(for: "monitor \(monitors[1].processID): gone")
            #expect(journal.count(of: "gone after") == 1)
            #expect(try await Programs.run("monitor-stand-in", scene.monitor()).status == 0)
            for monitor in monitors {
                monitor.signal(SIGKILL)
                _ = await monitor.end()
            }
            try await journal.wait(for: "gone after", count: 5)
        }
    }

    @Test func `monitors that wait at a gate have a page, and begin when it opens`() async throws {
        try await withServer(imageMiB: 8) { scene, journal in
            let monitors = try (0..<3).map { number in
                let gate = Pipe()
                let arguments = ["--gate", "--count", "300", "--threads", "2", "--seed", "\(number)"]
                let monitor = try Programs.Running(
                    "monitor-stand-in", scene.monitor() + arguments, input: gate)
                return (monitor, gate)
            }
            for (monitor, _) in monitors { #expect(await monitor.firstOutput() == "ready\n") }
            for (_, gate) in monitors { try gate.fileHandleForWriting.close() }
            for (monitor, _) in monitors {
                let result = await monitor.end()
                #expect(result.status == 0)
                #expect(result.output.contains("\"touched\":600,\"wrong\":0"), "\(result.output)")
            }
            try await journal.wait(for: "gone after", count: 3)
        }
    }

    @Test func `the program serves, lets its monitors end, and exits`() async throws {
        let scene = try await Scene(imageMiB: 16)
        let program = try Programs.Running(
            "lazy-restore", ["--socket", scene.socket, "--memory", scene.image, "--read-ahead", "256"])
        #expect(await program.errorOutput(until: "serving").contains("serving 16 MiB"))
        let waiting = try Programs.Running("monitor-stand-in", scene.monitor("--wait", "--percent", "5"))
        #expect(await waiting.firstOutput().contains("\"wrong\":0"))
        program.signal(SIGTERM)
        #expect(await program.errorOutput(until: "no more monitors").contains("no more monitors"))
        waiting.signal(SIGKILL)
        _ = await waiting.end()
        #expect(await program.end().status == 0)
        #expect(!FileManager.default.fileExists(atPath: scene.socket))
    }

    @Test func `the program says what is wrong with its arguments`() async throws {
        #expect(
            try await Programs.run("lazy-restore", ["--socket", "/nowhere/s", "--memory", "/nowhere/m"])
                .status == 1)
        #expect(try await Programs.run("lazy-restore", ["--read-ahead", "-1"]).status == 64)
    }
}
