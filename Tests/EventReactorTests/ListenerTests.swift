import EventReactor
import Glibc
import Testing

@Suite("Listeners", .timeLimit(.minutes(5)))
struct ListenerTests {
    @Test("Port 0 becomes a real one, IPv6 works where there is any, and a second listener is refused")
    func addresses() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        #expect(listener.address.port ?? 0 > 0)
        await expectCode(.addressInUse) { _ = try await reactor.listen(on: listener.address) }
        await expectCode(.badAddress) { _ = try await reactor.listen(on: .ipv4("1.2.3", port: 0)) }
        if fileExists("/proc/net/if_inet6") {
            let listener = try await reactor.listen(on: .ipv6("::1", port: 0))
            async let server = listener.accept()
            let client = try await reactor.connect(to: listener.address)
            #expect(try await client.peerAddress == listener.address)
            #expect(try await server.localAddress == listener.address)
            #expect(listener.address.description.hasPrefix("[::1]:"))
        }
        await reactor.shutdown()
    }

    @Test("The file of a UNIX socket: refused while in use, replaced when stale, removed at the end")
    func unixFile() async throws {
        let reactor = try Reactor.start()
        let path = temporarySocketPath()
        let listener = try await reactor.listen(on: .unix(path: path))
        await expectCode(.addressInUse) { _ = try await reactor.listen(on: .unix(path: path)) }
        #expect(fileExists(path))
        await listener.close()
        #expect(!fileExists(path))

        // Left behind by somebody who did not clean up.
        let left = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let status = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(left, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(status == 0)
        close(left)
        var careful = Listener.Options()
        careful.removesStaleFile = false
        await expectCode(.addressInUse) { _ = try await reactor.listen(on: .unix(path: path), careful) }
        let successor = try await reactor.listen(on: .unix(path: path))
        _ = try await reactor.connect(to: .unix(path: path))
        await successor.close()

        // What is no socket is left alone, and so is what took the socket's place.
        let file = unsafe creat(path, 0o600)
        try #require(file >= 0)
        close(file)
        await expectCode(.addressInUse) { _ = try await reactor.listen(on: .unix(path: path)) }
        #expect(fileExists(path))
        unsafe unlink(path)
        await expectCode(.system) { _ = try await reactor.listen(on: .unix(path: path + "/none")) }
        await reactor.shutdown()
    }

    @Test("A burst is accepted piece by piece, and only as far as the bound", arguments: [true, false])
    func burst(isLocal: Bool) async throws {
        let reactor = try Reactor.start()
        var options = Listener.Options()
        options.acceptedPerTurn = 3
        options.pendingLimit = 20
        let listener = try await reactor.listen(
            on: isLocal ? .unix(path: temporarySocketPath()) : .ipv4("127.0.0.1", port: 0), options)
        var clients: [Connection] = []
        for _ in 0..<100 { clients.append(try await reactor.connect(to: listener.address)) }
        await waitUntil(reactor) { await listener.pendingConnections() == 20 }
        for _ in 0..<10 { await reactor.run {} }
        #expect(await listener.pendingConnections() == 20)
        var servers: [Connection] = []
        for await connection in listener.connections.prefix(100) { servers.append(connection) }
        #expect(servers.count == 100)
        #expect(await listener.pendingConnections() == 0)
        for (number, client) in clients.enumerated() { try await client.write([UInt8(number)]) }
        for (number, server) in servers.enumerated() {
            #expect(try await server.readExactly(1) == [UInt8(number)])
        }
        await reactor.shutdown()
    }

    @Test("Connections that nobody took are closed with the listener, and waiting tasks let go")
    func closing() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let waiting = Task(executorPreference: reactor) { try await listener.accept() }
        let iterating = Task(executorPreference: reactor) { for await _ in listener.connections {} }
        await reactor.run {}
        await listener.close()
        await expectCode(.closed) { _ = try await waiting.value }
        await iterating.value
        await expectCode(.closed) { _ = try await listener.accept() }

        let full = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let client = try await reactor.connect(to: full.address)
        await waitUntil(reactor) { await full.pendingConnections() == 1 }
        await full.close()
        #expect(try await client.read().isEmpty)
        await reactor.shutdown()
    }

    @Test("Several listeners share a port if they are told to")
    func sharedPort() async throws {
        let reactor = try Reactor.start()
        var options = Listener.Options()
        options.sharesPort = true
        let first = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0), options)
        let second = try await reactor.listen(on: first.address, options)
        #expect(first.address == second.address)
        await reactor.shutdown()
    }

    @Test("When descriptors run out, the listener says so, does not spin, and goes on by itself")
    func descriptorsRunOut() async {
        await #expect(processExitsWith: .exitCode(0)) {
            let reactor = try Reactor.start()
            let failed = Gate()
            var options = Listener.Options()
            options.onFailure = { error in
                precondition(error.systemError == EMFILE)
                failed.open()
            }
            let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0), options)
            var limit = rlimit()
            _ = unsafe getrlimit(CInt(RLIMIT_NOFILE.rawValue), &limit)
            limit.rlim_cur = 128
            _ = unsafe setrlimit(CInt(RLIMIT_NOFILE.rawValue), &limit)
            var fillers: [CInt] = []
            while true {
                let filler = dup(0)
                if filler < 0 { break }
                fillers.append(filler)
            }
            await expectCode(.system) { _ = try await reactor.connect(to: listener.address) }
            if let last = fillers.popLast() { close(last) }
            let client = try await reactor.connect(to: listener.address)
            await failed.wait()
            let before = await reactor.statistics().turns
            for _ in 0..<10 { try await reactor.sleep(for: .milliseconds(1)) }
            // A hot loop would have taken a thousand turns and more.
            let turns = await reactor.statistics().turns - before
            precondition(turns < 200)
            for filler in fillers { close(filler) }
            let server = try await listener.accept()
            try await client.write("late")
            let bytes = try await server.readExactly(4)
            precondition(bytes == Array("late".utf8))
            let failures = await listener.acceptFailures()
            precondition(failures > 0)
            await reactor.shutdown()
            exit(0)
        }
    }
}
