import Foundation
import Testing

/// The program against a restore and a page server that follow the protocol to the letter.
@Suite(.timeLimit(.minutes(5)))
struct LazyPagesTests {
    /// Whether a process may be told of its forks.
    static let hearsOfForks = geteuid() == 0

    static let deeds =
        ["walk", "early", "move", "drop", "cut", "stack", "exec", "kill", "exit"]
        + (hearsOfForks ? ["fork", "fork"] : [])

    @Test(arguments: [1, 2, 3]) func `many tasks do what they like while their memory comes`(
        seed: Int
    ) async throws {
        let scene = try await Scene("--tasks", "22", "--zombies", "2", "--seed", "\(seed)")
        let daemon = try await scene.daemon()
        let restore = try scene.restore("--deeds", Self.deeds.joined(separator: ","))
        let restored = await restore.end()
        #expect(restored.status == 0, "\(restored.output) \(scene.log)")
        #expect(restored.output.contains("\"wrong\":0"))
        #expect(await daemon.end().status == 0, "\(scene.log)")
        #expect(!FileManager.default.fileExists(atPath: scene.socket))
        #expect(!scene.log.contains("Error"))
    }

    @Test(arguments: Set(deeds).sorted()) func `each deed by itself`(deed: String) async throws {
        let scene = try await Scene("--tasks", "2", "--pages", "1200", "--threads", "4")
        let daemon = try await scene.daemon()
        let restored = await (try scene.restore("--deeds", deed)).end()
        #expect(restored.status == 0, "\(restored.output) \(scene.log)")
        #expect(await daemon.end().status == 0, "\(scene.log)")
    }

    @Test func `what nobody touches is delivered all the same, and then the daemon is not needed`()
        async throws
    {
        let scene = try await Scene("--tasks", "3", "--pages", "4000")
        let daemon = try await scene.daemon()
        let restore = try scene.restore("--hold", "--deeds", "walk,stack,move")
        #expect(await restore.firstOutput() == "restored\n")
        #expect(await daemon.end().status == 0, "\(scene.log)")
        // Only now do they look.
        restore.closeInput()
        let restored = await restore.end()
        #expect(restored.status == 0, "\(restored.output)")
    }

    @Test(arguments: ["", "fewer"], [1, 2]) func `pages come from a page server, in parts if it likes`(
        fault: String, seed: Int
    ) async throws {
        let scene = try await Scene("--tasks", "12", "--remote", "--seed", "\(seed)")
        let (server, port) = try await scene.pageServer("--fault", fault)
        let daemon = try await scene.daemon("--page-server", "--port", port, "--address", "localhost")
        let restored = await (try scene.restore("--deeds", Self.deeds.joined(separator: ","))).end()
        #expect(restored.status == 0, "\(restored.output) \(scene.log)")
        #expect(await daemon.end().status == 0, "\(scene.log)")
        let served = await server.end()
        #expect(served.status == 0 && served.output.contains("\"closed\":1"), "\(served.output)")
    }

    @Test func `what a page server has is fetched without being touched`() async throws {
        let scene = try await Scene("--tasks", "2", "--pages", "3000", "--remote")
        let (server, port) = try await scene.pageServer()
        let daemon = try await scene.daemon("--page-server", "--port", port)
        let restore = try scene.restore("--hold")
        #expect(await daemon.end().status == 0, "\(scene.log)")
        #expect(await server.end().status == 0)
        restore.closeInput()
        #expect(await restore.end().status == 0)
    }

    @Test func `a checkpoint whose processes have all ended is done at once`() async throws {
        let scene = try await Scene("--tasks", "0", "--zombies", "5")
        let daemon = try await scene.daemon()
        #expect(await (try scene.restore()).end().status == 0)
        #expect(await daemon.end().status == 0, "\(scene.log)")
    }

    @Test func `in the background it lives on, and its number is in the file`() async throws {
        let scene = try await Scene("--tasks", "2")
        let pidfile = scene.folder + "/pid"
        let starter = try await scene.daemon("--daemon", "--pidfile", pidfile)
        #expect(await starter.end().status == 0)
        let number = try #require(Int32(try String(contentsOfFile: pidfile, encoding: .utf8)))
        #expect(kill(number, 0) == 0)
        let restored = await (try scene.restore("--deeds", "walk,stack")).end()
        #expect(restored.status == 0, "\(restored.output) \(scene.log)")
        let end = ContinuousClock.now + .seconds(20)
        while !scene.log.contains("all is delivered") {
            try #require(ContinuousClock.now < end, "\(scene.log)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func `a signal ends it, and nobody is shown zeroes`() async throws {
        let scene = try await Scene("--tasks", "2", "--remote")
        let (server, port) = try await scene.pageServer("--fault", "deaf")
        let daemon = try await scene.daemon("--page-server", "--port", port)
        let restore = try scene.restore("--deeds", "walk")
        try await scene.waitForLog("all is restored")
        daemon.signal(SIGTERM)
        #expect(await daemon.end().status == 1)
        #expect(scene.log.contains("Error: interrupted"))
        #expect(await restore.end().status == 128 + SIGBUS)
        #expect(await server.end().status == 0)
    }
}

extension Scene {
    func waitForLog(_ text: String) async throws {
        let end = ContinuousClock.now + .seconds(30)
        while !log.contains(text) {
            try #require(ContinuousClock.now < end, "no '\(text)' in \(log)")
            try await Task.sleep(for: .milliseconds(2))
        }
    }
}
