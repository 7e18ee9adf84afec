import Foundation
import KeyValueStore
import Synchronization
import Testing

/// Images: restored as they are needed, taken while clients write.
@Suite(.timeLimit(.minutes(3)))
struct SnapshotTests {
    private func value(_ number: Int) -> String { String(repeating: "value \(number) ", count: 400) }

    @Test func `the first request is answered before a hundredth of the image is loaded`() async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let count = 8000
        let first = try await RunningServer.start("--memory", "64m", in: folder)
        try await onThread {
            let client = try RESPClient(first.socket)
            for start in stride(from: 0, to: count, by: 100) {
                let replies = try client.pipeline(
                    (start..<start + 100).map { ["SET", "key \($0)", value($0)] })
                #expect(replies.allSatisfy { $0 == .ok })
            }
            try client.send("SHUTDOWN SAVE\r\n")
            #expect(try client.receive() == nil)
        }
        #expect(try await first.end().status == 0)
        let before = try Data(contentsOf: URL(fileURLWithPath: folder + "/image"))

        let second = try await RunningServer.start("--prefetch-delay", "3600", in: folder)
        try await onThread {
            let client = try RESPClient(second.socket)
            #expect(try client.call("GET", "key 4321") == .bulk(value(4321)))
            let information = try client.information()
            let image = Int(information["image_bytes"] ?? "") ?? 0
            let loaded = Int(information["image_loaded_at_first_reply"] ?? "") ?? .max
            #expect(image > 30 << 20)
            #expect(loaded > 0 && loaded * 100 < image, "\(loaded) of \(image) bytes")
            // Writes meanwhile are to the memory, not to the image.
            #expect(try client.call("SET", "key 1", "new") == .ok)
            try client.wait(for: "loading", "0")
            let present = Int(try client.information()["pager_present_pages"] ?? "") ?? 0
            #expect(present * 4096 >= image)
            for number in stride(from: 0, to: count, by: 7) where number != 1 {
                #expect(try client.call("GET", "key \(number)").text == value(number), "key \(number)")
            }
            #expect(try client.call("DBSIZE") == .number(count))
        }
        second.signal(SIGKILL)
        #expect(try await second.end().status == 128 + SIGKILL)
        #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/image")) == before)

        // More memory than the image was taken of, and an image while it is being loaded.
        let third = try await RunningServer.start("--memory", "80m", "--prefetch-delay", "3600", in: folder)
        try await onThread {
            let client = try RESPClient(third.socket)
            #expect(try client.call("SET", "key 2", "newer") == .ok)
            #expect(try client.call("SAVE") == .ok)
        }
        third.signal(SIGKILL)
        _ = try await third.end()
        let fourth = try await RunningServer.start(in: folder)
        try await onThread {
            let client = try RESPClient(fourth.socket)
            #expect(try client.call("GET", "key 2") == .bulk("newer"))
            for number in stride(from: 3, to: count, by: 11) {
                #expect(try client.call("GET", "key \(number)").text == value(number), "key \(number)")
            }
            #expect(try client.information()["maxmemory"] == "\(80 << 20)")
        }
        fourth.signal(SIGTERM)
        #expect(try await fourth.end().status == 0)
    }

    /// What a client that writes knows of its own.
    private final class Progress: Sendable {
        let sent = Atomic(0)
        let answered = Atomic(0)
        let isOver = Atomic(false)
    }

    @Test(arguments: [(false, "live"), (true, "live"), (false, "fork")])
    func `an image under load is of an instant between two commands`(
        bySignal: Bool, method: String
    ) async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await RunningServer.start("--memory", "32m", "--snapshot", method, in: folder)
        try await onThread {
            let client = try RESPClient(server.socket)
            for number in 0..<4000 { try client.call("SET", "filler \(number)", value(number % 10)) }
        }
        let end = Progress()
        let writers = (0..<3).map { _ in Progress() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, progress) in writers.enumerated() {
                group.addTask {
                    try await onThread {
                        let client = try RESPClient(server.socket)
                        var step = 0
                        while !end.isOver.load(ordering: .acquiring) {
                            step += 1
                            progress.sent.store(step, ordering: .sequentiallyConsistent)
                            // One command for many pages, then two whose order is known.
                            let many = (0..<20).flatMap {
                                [
                                    "w\(number) \($0)",
                                    "\(step) " + String(repeating: "p", count: (step + $0) % 3000),
                                ]
                            }
                            try client.send(RESPClient.encoded(["MSET"] + many))
                            #expect(try client.receive() == .ok)
                            #expect(try client.call("INCR", "first \(number)") == .number(step))
                            #expect(try client.call("INCR", "second \(number)") == .number(step))
                            progress.answered.store(step, ordering: .sequentiallyConsistent)
                        }
                    }
                }
            }
            group.addTask {
                defer { end.isOver.store(true, ordering: .releasing) }
                for round in 1...4 {
                    let (low, high) = try await onThread {
                        let client = try RESPClient(server.socket)
                        let low = writers.map { $0.answered.load(ordering: .sequentiallyConsistent) }
                        if bySignal {
                            server.signal(SIGUSR1)
                        } else {
                            #expect(try client.call("BGSAVE") == .word("Background saving started"))
                        }
                        try client.wait(for: "rdb_saves", "\(round)")
                        return (low, writers.map { $0.sent.load(ordering: .sequentiallyConsistent) })
                    }
                    try await check(folder + "/image", between: low, and: high, of: "round \(round)")
                }
            }
            try await group.waitForAll()
        }
        server.signal(SIGTERM)
        #expect(try await server.end().status == 0)
    }

    /// Starts another server with a copy of the image, and compares what it has with what can have been.
    private func check(_ image: String, between low: [Int], and high: [Int], of round: String) async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try FileManager.default.copyItem(atPath: image, toPath: folder + "/image")
        let server = try await RunningServer.start(in: folder)
        try await onThread {
            let client = try RESPClient(server.socket)
            for number in 0..<4000 where number % 13 == 0 {
                #expect(try client.call("GET", "filler \(number)").text == value(number % 10))
            }
            for writer in low.indices {
                let steps = try (0..<20).map { place -> Int in
                    let parts = (try client.call("GET", "w\(writer) \(place)").text ?? "0 ").split(
                        separator: " ", omittingEmptySubsequences: false)
                    let step = Int(parts[0]) ?? -1
                    #expect(step == 0 || parts[1].count == (step + place) % 3000)
                    return step
                }
                let first = Int(try client.call("GET", "first \(writer)").text ?? "0") ?? -1
                let second = Int(try client.call("GET", "second \(writer)").text ?? "0") ?? -1
                #expect(Set(steps).count == 1, "\(round): a command was half done: \(steps)")
                #expect(steps[0] == first || steps[0] == first + 1, "\(round): \(steps[0]), \(first)")
                #expect(first == second || first == second + 1, "\(round): \(first), \(second)")
                #expect(first >= low[writer] && first <= high[writer], "\(round): \(first)")
                #expect(second >= low[writer] && steps[0] <= high[writer], "\(round)")
            }
            guard case .array(let keys) = try client.call("KEYS", "*") else {
                throw ClientError(description: "KEYS")
            }
            #expect(try client.call("DBSIZE") == .number(keys.count))
        }
        server.signal(SIGTERM)
        #expect(try await server.end().status == 0)
    }

    @Test(arguments: ["live", "fork"])
    func `an image that cannot be written fails, and the old one stays`(method: String) async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await RunningServer.start("--memory", "4m", "--snapshot", method, in: folder)
        try await onThread {
            let client = try RESPClient(server.socket)
            #expect(try client.call("SET", "a", "1") == .ok)
            #expect(try client.call("SAVE") == .ok)
            let saved = try Data(contentsOf: URL(fileURLWithPath: folder + "/image"))
            // In the way of the file that would get the name.
            try FileManager.default.createDirectory(
                atPath: folder + "/image.partial", withIntermediateDirectories: false)
            #expect(try client.call("SET", "a", "2") == .ok)
            #expect(try client.call("SAVE").error?.hasPrefix("ERR ") == true)
            #expect(try client.information()["rdb_last_bgsave_status"] == "err")
            #expect(try client.call("GET", "a") == .bulk("2"))
            #expect(try Data(contentsOf: URL(fileURLWithPath: folder + "/image")) == saved)
            try client.send("SHUTDOWN SAVE\r\n")
            #expect(try client.receive() == nil)
        }
        #expect(try await server.end().status == 1, "whoever wants it saved must learn that it is not")
    }

    @Test(arguments: ["live", "fork"])
    func `all of an image is there before the first reply, if that is wanted`(method: String) async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let first = try await RunningServer.start("--memory", "16m", in: folder)
        try await onThread {
            let client = try RESPClient(first.socket)
            for number in 0..<2000 { try client.call("SET", "key \(number)", value(number)) }
            #expect(try client.call("SAVE") == .ok)
        }
        first.signal(SIGTERM)
        #expect(try await first.end().status == 0)
        let second = try await RunningServer.start("--eager", "--snapshot", method, in: folder)
        try await onThread {
            let client = try RESPClient(second.socket)
            #expect(try client.call("GET", "key 1999") == .bulk(value(1999)))
            let information = try client.information()
            let image = Int(information["image_bytes"] ?? "") ?? .max
            #expect(image > 6 << 20)
            #expect(Int(information["image_loaded_at_first_reply"] ?? "") ?? 0 >= image)
            #expect(information["loading"] == "0" && information["pager_faults"] == "0")
            #expect(try client.call("SET", "key 1", "new") == .ok)
            #expect(try client.call("SAVE") == .ok)
        }
        second.signal(SIGTERM)
        #expect(try await second.end().status == 0)
        let third = try await RunningServer.start("--prefetch-delay", "3600", in: folder)
        try await onThread {
            let client = try RESPClient(third.socket)
            #expect(try client.call("GET", "key 1") == .bulk("new"))
            #expect(try client.call("DBSIZE") == .number(2000))
            for number in stride(from: 2, to: 2000, by: 7) {
                #expect(try client.call("GET", "key \(number)") == .bulk(value(number)))
            }
        }
        third.signal(SIGTERM)
        #expect(try await third.end().status == 0)
    }
}
