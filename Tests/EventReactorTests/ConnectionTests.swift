import EventReactor
import Glibc
import Testing

@Suite("Connections", .timeLimit(.minutes(5)))
struct ConnectionTests {
    @Test("An echo server answers over TCP and over UNIX sockets", arguments: [false, true])
    func echoes(isLocal: Bool) async throws {
        let reactor = try Reactor.start()
        let path = temporarySocketPath()
        let listener = try await reactor.listen(
            on: isLocal ? .unix(path: path) : .ipv4("127.0.0.1", port: 0))
        if !isLocal { #expect(listener.address.port != 0) }
        let server = Task(executorPreference: reactor) { try await echo(listener.accept()) }
        let client = try await reactor.connect(to: listener.address)
        for round in 1...20 {
            try await client.write("round \(round)\n")
            let line = try #require(try await client.readLine())
            #expect(String(decoding: line, as: UTF8.self) == "round \(round)")
        }
        try await client.finishWriting()
        #expect(try await client.read().isEmpty)
        try await server.value
        await reactor.shutdown()
    }

    @Test("200 connections are served at the same time on one thread")
    func manyConnections() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let server = Task(executorPreference: reactor) {
            try await withThrowingTaskGroup { group in
                for await connection in listener.connections {
                    group.addTask { try await echo(connection) }
                }
                try await group.waitForAll()
            }
        }
        try await withThrowingTaskGroup { group in
            for number in 0..<200 {
                group.addTask(executorPreference: reactor) {
                    let client = try await reactor.connect(to: listener.address)
                    let message = pattern(1000, from: number)
                    for _ in 0..<5 {
                        try await client.write(message)
                        #expect(try await client.readExactly(message.count) == message)
                    }
                    try await client.finishWriting()
                    #expect(try await client.read().isEmpty)
                }
            }
            try await group.waitForAll()
        }
        await listener.close()
        try await server.value
        await reactor.shutdown()
    }

    @Test("Both ends know their addresses")
    func addresses() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        #expect(try await pair.near.localAddress == pair.far.peerAddress)
        #expect(try await pair.far.localAddress == pair.near.peerAddress)
        #expect(try await pair.near.localAddress.description.hasPrefix("127.0.0.1:"))
        #expect(pair.near.peerCredentials == nil)
        await pair.near.close()
        await expectCode(.closed) { _ = try await pair.near.localAddress }
        await reactor.shutdown()
    }

    @Test("A UNIX socket tells who is at the other end")
    func credentials() async throws {
        let reactor = try Reactor.start()
        let listener = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()))
        let client = try await reactor.connect(to: listener.address)
        let server = try await listener.accept()
        for connection in [client, server] {
            let credentials = try #require(connection.peerCredentials)
            #expect(credentials.processID == getpid())
            #expect(credentials.userID == getuid())
            #expect(credentials.groupID == getgid())
        }
        await reactor.shutdown()
    }

    @Test("Reads of an exact length and of lines take nothing until they can be answered")
    func framedReads() async throws {
        let reactor = try Reactor.start()
        var options = Connection.Options()
        options.inputLimit = 100
        let pair = try await ConnectionPair.make(on: reactor, options)
        let (near, far) = (pair.near, pair.far)
        // More than the buffer's usual limit.
        let message = pattern(5000)
        async let received = far.readExactly(5000)
        try await near.write(message)
        #expect(try await received == message)
        #expect(try await far.readExactly(0).isEmpty)

        try await near.write("one\r\n\ntwo\nrest")
        #expect(try await far.readLine() == Array("one".utf8))
        #expect(try await far.readLine() == [])
        #expect(try await far.readLine() == Array("two".utf8))
        await expectCode(.lineTooLong) { _ = try await far.readLine(upTo: 2) }
        async let last = far.readLine()
        try await near.finishWriting()
        #expect(try await last == Array("rest".utf8))
        #expect(try await far.readLine() == nil)
        await reactor.shutdown()
    }

    @Test("What came before an early end of the stream can still be read")
    func earlyEnd() async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        try await pair.near.write("half")
        try await pair.near.finishWriting()
        await expectCode(.endOfStream) { _ = try await pair.far.readExactly(8) }
        #expect(try await pair.far.read() == Array("half".utf8))
        #expect(try await pair.far.read().isEmpty)
        #expect(try await pair.far.read().isEmpty)
        await reactor.shutdown()
    }

    @Test(
        "A caller's memory is read into and written from, on the loop and elsewhere",
        arguments: [true, false])
    func spans(onLoop: Bool) async throws {
        let reactor = try Reactor.start()
        let pair = try await ConnectionPair.make(on: reactor)
        let message = pattern(3000)
        @Sendable func exchange() async throws {
            let text = message
            try await pair.near.write(unsafe text.span.bytes)
            try await pair.near.finishWriting()
            var received: [UInt8] = []
            while true {
                var memory = [UInt8](repeating: 0, count: 0)
                let count = try await read(&memory)
                if count == 0 { break }
                received += memory
            }
            #expect(received == message)
        }
        @Sendable func read(_ memory: inout [UInt8]) async throws -> Int {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 700, alignment: 1)
            defer { unsafe buffer.deallocate() }
            var span = unsafe OutputRawSpan(buffer: buffer, initializedCount: 0)
            let count = try await pair.far.read(into: &span)
            let appended = span.byteCount
            #expect(count == appended)
            memory = unsafe Array(buffer.prefix(count))
            return count
        }
        if onLoop {
            try await Task(executorPreference: reactor) { try await exchange() }.value
        } else {
            try await exchange()
        }
        await reactor.shutdown()
    }

    @Test("A socket pair from elsewhere can be adopted; what is no stream socket is refused")
    func adopted() async throws {
        let reactor = try Reactor.start()
        var ends: [CInt] = [-1, -1]
        let status = unsafe socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0, &ends)
        try #require(status == 0)
        let left = try await reactor.adopt(socket: ends[0])
        let right = try await reactor.adopt(socket: ends[1])
        try await left.write("hello")
        #expect(try await right.readExactly(5) == Array("hello".utf8))
        #expect(left.peerCredentials?.processID == getpid())
        let pipe = Pipe()
        await expectCode(.unsupportedDescriptor) { _ = try await reactor.adopt(socket: pipe.readEnd) }
        await expectCode(.badDescriptor) { _ = try await reactor.adopt(socket: -1) }
        await reactor.shutdown()
    }

    @Test("A task on the loop reads, writes and accepts without leaving it, with and without a preference")
    func staysOnLoop() async throws {
        let reactor = try Reactor.start()
        try await Task(executorPreference: reactor) {
            let pair = try await ConnectionPair.make(on: reactor)
            #expect(reactor.isOnLoop)
            async let bytes = pair.far.read()
            try await pair.near.write("x")
            #expect(reactor.isOnLoop)
            #expect(try await bytes.count == 1)
            #expect(reactor.isOnLoop)
            try await pair.near.flush()
            #expect(reactor.isOnLoop)
        }.value
        try await Resident(reactor).exchange()
        await reactor.shutdown()
    }
}

/// An actor whose executor is the reactor.
private actor Resident {
    private let reactor: Reactor

    nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe reactor.asUnownedSerialExecutor() }

    init(_ reactor: Reactor) { self.reactor = reactor }

    func exchange() async throws {
        let pair = try await ConnectionPair.make(on: reactor)
        try await pair.near.write("x")
        #expect(reactor.isOnLoop)
        #expect(try await pair.far.read().count == 1)
        #expect(reactor.isOnLoop)
    }
}
