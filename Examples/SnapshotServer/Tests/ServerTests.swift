import Foundation
import Testing

/// The program, end to end.
@Suite(.timeLimit(.minutes(3)))
struct ServerTests {
    @Test func `commands do what those of Redis do`() async throws {
        let server = try await RunningServer.start("--memory", "16m")
        try await onThread {
            let client = try RESPClient(server.socket)
            let script: [([String], Value)] = [
                (["PING"], .word("PONG")), (["ping", "a"], .bulk("a")), (["ECHO", "b"], .bulk("b")),
                (["SET", "a", "1"], .ok), (["GET", "a"], .bulk("1")), (["get", "none"], .bulk(nil)),
                (["SET", "a", "2", "NX"], .bulk(nil)), (["SET", "a", "2", "XX"], .ok),
                (["SET", "none", "2", "XX"], .bulk(nil)), (["SET", "a", "3", "GET"], .bulk("2")),
                (["SET", "a", "3", "NX", "XX"], .error("ERR syntax error")),
                (["SET", "a", "3", "EX", "5"], .error("ERR syntax error")),
                (["INCR", "a"], .number(4)), (["INCRBY", "a", "-6"], .number(-2)),
                (["DECR", "a"], .number(-3)), (["DECRBY", "a", "7"], .number(-10)),
                (["INCRBY", "n", "9223372036854775807"], .number(.max)),
                (["INCR", "n"], .error("ERR increment or decrement would overflow")),
                (["INCRBY", "n", "x"], .error("ERR value is not an integer or out of range")),
                (["APPEND", "s", "abc"], .number(3)), (["APPEND", "s", "def"], .number(6)),
                (["INCR", "s"], .error("ERR value is not an integer or out of range")),
                (["STRLEN", "s"], .number(6)), (["STRLEN", "none"], .number(0)),
                (["MSET", "x", "1", "y", "2"], .ok),
                (["MSET", "x"], .error("ERR wrong number of arguments for 'mset' command")),
                (["MSET", "x", "1", "y"], .error("ERR wrong number of arguments for 'mset' command")),
                (["MGET", "x", "none", "y"], .array([.bulk("1"), .bulk(nil), .bulk("2")])),
                (["EXISTS", "x", "x", "none"], .number(2)), (["DBSIZE"], .number(5)),
                (["DEL", "x", "y", "none"], .number(2)), (["KEYS", "s*"], .array([.bulk("s")])),
                (["SELECT", "0"], .ok), (["SELECT", "1"], .error("ERR DB index is out of range")),
                (["COMMAND"], .array([])), (["CONFIG", "GET", "save"], .array([.bulk("save"), .bulk("")])),
                (["NOSUCH"], .error("ERR unknown command 'NOSUCH'")),
                (["GET"], .error("ERR wrong number of arguments for 'get' command")),
                (["SET", "", ""], .ok), (["GET", ""], .bulk("")),
                (["FLUSHALL"], .ok), (["DBSIZE"], .number(0)), (["GET", "a"], .bulk(nil)),
            ]
            for (request, reply) in script {
                try client.send(RESPClient.encoded(request))
                #expect(try client.receive() == reply, "\(request)")
            }
            // All at once, and then a byte at a time.
            #expect(try client.pipeline(script.map(\.0)) == script.map(\.1))
            for byte in "SET \"a b\" 'c d'\r\nGET \"a b\"\nQUIT\r\n".utf8 { try client.send([byte]) }
            #expect(try [client.receive(), client.receive(), client.receive()] == [.ok, .bulk("c d"), .ok])
            #expect(try client.receive() == nil, "QUIT closes")

            let other = try RESPClient(server.socket)
            #expect(try other.call("DBSIZE") == .number(1))
            for number in 0..<500 { try other.call("SET", "key \(number)", "\(number)") }
            var cursor = "0"
            var met: Set<String> = []
            repeat {
                guard case .array(let parts) = try other.call("SCAN", cursor, "MATCH", "key*", "COUNT", "50"),
                    case .array(let keys) = parts[1]
                else { throw ClientError(description: "SCAN") }
                cursor = parts[0].text ?? "0"
                met.formUnion(keys.compactMap(\.text))
            } while cursor != "0"
            #expect(met.count == 500)
            #expect(try other.call("KEYS", "*") != .array([]))
            try other.send("SHUTDOWN NOSAVE\r\n")
            #expect(try other.receive() == nil)
        }
        #expect(try await server.end().status == 0)
        #expect(!FileManager.default.fileExists(atPath: server.image))
    }

    @Test func `whoever does not keep to the protocol is told and left`() async throws {
        let server = try await RunningServer.start("--memory", "4m", "--max-value", "1k")
        try await onThread {
            for (text, message) in [
                ("*1\r\nPING\r\n", "ERR Protocol error: expected '$', got 'P'"),
                ("*9999999999\r\n", "ERR Protocol error: invalid multibulk length"),
                ("*2\r\n$3\r\nGET\r\n$1025\r\n", "ERR Protocol error: invalid bulk length"),
                ("GET \"a\r\n", "ERR Protocol error: unbalanced quotes in request"),
            ] {
                let client = try RESPClient(server.socket)
                // What came before is answered.
                try client.send("INCR n\r\n" + text)
                #expect(try client.receive()?.number != nil)
                #expect(try client.receive() == .error(message))
                #expect(try client.receive() == nil)
            }
            let client = try RESPClient(server.socket)
            #expect(try client.call("SET", "a", String(repeating: "a", count: 1024)) == .ok)
            #expect(try client.call("APPEND", "a", "b") == .error("ERR A value can have 1024 bytes at most."))
            #expect(try client.call("GET", "n") == .bulk("4"))
        }
    }

    @Test func `full memory refuses, and forgets nothing`() async throws {
        let server = try await RunningServer.start("--memory", "2m")
        try await onThread {
            let client = try RESPClient(server.socket)
            var count = 0
            while true {
                let reply = try client.call("SET", "key \(count)", String(repeating: "v\(count)", count: 200))
                if let error = reply.error {
                    #expect(error.hasPrefix("OOM "))
                    break
                }
                count += 1
            }
            #expect(count > 500)
            let large = String(repeating: "x", count: 5000)
            #expect(try client.call("MSET", "key 0", "new", "b", large).error?.hasPrefix("OOM ") == true)
            #expect(try client.call("APPEND", "key 1", large).error?.hasPrefix("OOM ") == true)
            #expect(try client.call("DBSIZE") == .number(count))
            for number in 0..<count {
                #expect(
                    try client.call("GET", "key \(number)")
                        == .bulk(String(repeating: "v\(number)", count: 200)))
            }
            for number in 10..<40 { #expect(try client.call("DEL", "key \(number)") == .number(1)) }
            #expect(try client.call("SET", "b", large) == .ok, "what was deleted is room")
            #expect(try client.call("FLUSHALL") == .ok)
            #expect(try client.call("SET", "c", String(repeating: "x", count: 1 << 20)) == .ok)
        }
    }

    @Test func `a termination finishes what is under way, and saves`() async throws {
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let server = try await RunningServer.start("--memory", "4m", "--save-on-exit", in: folder)
        let answered = try await onThread {
            let idle = try RESPClient(server.socket)
            let client = try RESPClient(server.socket)
            try client.send((0..<5000).flatMap { _ in RESPClient.encoded(["INCR", "n"]) })
            #expect(try client.receive() == .number(1))
            server.signal(SIGTERM)
            var last = 1
            while let reply = try client.receive() {
                #expect(reply == .number(last + 1))
                last += 1
            }
            #expect(try idle.receive() == nil)
            return last
        }
        let (status, said) = try await server.end()
        #expect(status == 0, "\(said)")
        #expect(!FileManager.default.fileExists(atPath: server.socket))
        let next = try await RunningServer.start(in: folder)
        try await onThread {
            let client = try RESPClient(next.socket)
            #expect(try client.call("GET", "n") == .bulk("\(answered)"))
        }
        next.signal(SIGTERM)
        #expect(try await next.end().status == 0)
    }

    @Test func `an image that is none, or is damaged, is refused with the reason`() async throws {
        let server = try await RunningServer.start("--memory", "4m")
        try await onThread {
            let client = try RESPClient(server.socket)
            for number in 0..<1000 {
                try client.call("SET", "\(number)", String(repeating: "a", count: 1500))
            }
            #expect(try client.call("SAVE") == .ok)
        }
        let whole = try Data(contentsOf: URL(fileURLWithPath: server.image))
        var damaged = whole
        damaged[60] ^= 1
        let other = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: other) }
        for (bytes, more, reason) in [
            (Data(), [], "no image of a snapshot server"),
            (Data("not an image at all".utf8), [], "no image of a snapshot server"),
            (whole.prefix(1000), [], "should have 4096 bytes and has 1000"),
            (whole.dropLast(), [], "should have 4194304 bytes and has 4194303"),
            (whole + Data([0]), [], "and has 4194305"), (damaged, [], "checksum differs"),
            (whole, ["--memory", "1m"], "start with more --memory"),
        ] as [(Data, [String], String)] {
            try bytes.write(to: URL(fileURLWithPath: other + "/image"))
            let (status, output) = try await RunningServer.run(
                ["--unix", other + "/socket", "--image", other + "/image"] + more)
            #expect(status == 1)
            #expect(output.contains(reason), "\(output)")
            #expect(try Data(contentsOf: URL(fileURLWithPath: other + "/image")) == bytes)
        }
    }

    @Test func `arguments that make no sense are refused`() async throws {
        #expect(try await RunningServer.run(["--help"]).status == 0)
        for arguments in [
            [], ["--image", "i", "--memory", "1"], ["--image", "i", "--memory", "4x"],
            ["--image", "i", "--max-value", "1g"], ["--image", "i", "--port", "70000"],
            ["--image", "i", "--prefetch-delay", "-1"], ["--image", "i", "--snapshot", "none"],
        ] {
            #expect(try await RunningServer.run(arguments).status == 64, "\(arguments)")
        }
        let folder = try RunningServer.makeFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        for arguments in [
            ["--image", folder + "/i", "--unix", folder + "/none/s"],
            ["--image", folder, "--port", "0"], ["--image", folder + "/i", "--bind", "name", "--port", "0"],
        ] {
            #expect(try await RunningServer.run(arguments).status == 1, "\(arguments)")
        }
    }

    @Test func `the tools of Redis work with it`() async throws {
        let paths = ["redis-cli", "redis-benchmark"].map { "/usr/bin/" + $0 }
        guard paths.allSatisfy(FileManager.default.isExecutableFile(atPath:)) else {
            print("redis-cli and redis-benchmark are not installed: they were not tried")
            return
        }
        let server = try await RunningServer.start("--memory", "16m")
        func run(_ tool: Int, _ arguments: String...) async throws -> String {
            let result = try await RunningServer.run(
                ["-s", server.socket] + arguments, of: URL(fileURLWithPath: paths[tool]))
            #expect(result.status == 0, "\(result.output)")
            return result.output
        }
        #expect(try await run(0, "set", "a", "b") == "OK\n")
        #expect(try await run(0, "--scan") == "a\n")
        #expect(try await run(0, "info").contains("db0:keys=1"))
        let output = try await run(
            1, "-q", "-n", "2000", "-c", "10", "-P", "4", "-r", "100", "-t", "ping,set,get,incr,mset")
        for name in ["PING_INLINE", "SET", "GET", "INCR", "MSET"] { #expect(output.contains(name)) }
        #expect(!output.contains("ERR") && !output.contains("WARNING"), "\(output)")
        #expect(try await run(0, "shutdown", "nosave") == "")
        #expect(try await server.end().status == 0)
    }
}
