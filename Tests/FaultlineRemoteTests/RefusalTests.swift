import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// Peers that are not let in, and requests that are not done.
@Suite(.timeLimit(.minutes(5)))
struct RefusalTests {
    let page = SystemPage.size

    private func withServer(
        _ store: (any PageStore)? = nil, isReadOnly: Bool = false,
        _ change: (inout PageServer.Options) -> Void = { _ in },
        _ body: (TestServer, PageServer) async throws -> Void
    ) async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor, change)
            let running = try await server.start(
                store ?? MemoryStore(copying: [UInt8](repeating: 7, count: 16 * page)), isReadOnly: isReadOnly
            )
            try await body(server, running)
            await server.kill()
        }
    }

    @Test func `another secret lets nobody in, and is said to be wrong`() async throws {
        try await withServer { server, running in
            let error = await remoteError {
                _ = try await server.connect(secret: SharedSecret.random().secret)
            }
            #expect(error?.code == .wrongSecret)
            #expect(error?.description.contains("secret") == true)
            try await eventually { await running.statistics().connections == 0 }
            let statistics = await running.statistics()
            #expect(statistics.accepted == 0 && statistics.refused == 1 && statistics.requests == 0)
            // Who does not know it learns nothing of what there is.
            let other = await remoteError {
                _ = try await server.connect("nothing", secret: SharedSecret.random().secret)
            }
            #expect(other?.code == .wrongSecret)
        }
    }

    @Test func `requests before the handshake is over are no requests`() async throws {
        try await withServer { server, running in
            let first = try await RawPeer(server.reactor, server.address)
            try await first.send(FrameHeader(.read, number: 1, offset: 0, count: 4096))
            #expect(try await first.receive() == nil)
            let second = try await RawPeer(server.reactor, server.address)
            var handshake = ClientHandshake(
                export: "pages", client: [UInt8](repeating: 0, count: 16), secret: server.secret)
            try await second.send(FrameHeader(.hello), handshake.hello)
            let challenge = try #require(try await second.receive()).1
            _ = try handshake.prove(challenge)
            try await second.send(FrameHeader(.flush, number: 1))
            #expect(try await second.receive() == nil)
            // No proof at all, an empty one, one of somebody else's.
            for proof in [[], [UInt8](repeating: 0, count: 32), challenge] {
                let peer = try await RawPeer(server.reactor, server.address)
                let fresh = ClientHandshake(
                    export: "pages", client: [UInt8](repeating: 0, count: 16), secret: server.secret)
                try await peer.send(FrameHeader(.hello), fresh.hello)
                _ = try await peer.receive()
                try await peer.send(FrameHeader(.proof), proof)
                #expect(try await peer.receive()?.0.status == .wrongSecret)
                #expect(try await peer.receive() == nil)
            }
            let statistics = await running.statistics()
            #expect(statistics.accepted == 0 && statistics.requests == 0 && statistics.operations == 0)
        }
    }

    @Test func `names and versions that are not there are refused with a reason`() async throws {
        try await withServer { server, _ in
            #expect(await remoteError { _ = try await server.connect("nothing") }?.code == .unknownExport)
            #expect(await remoteError { _ = try await server.connect("") }?.code == .badName)
            #expect(
                await remoteError { _ = try await server.connect(String(repeating: "x", count: 256)) }?.code
                    == .badName)
            let peer = try await RawPeer(server.reactor, server.address)
            let hello = ClientHandshake(
                export: "pages", client: [UInt8](repeating: 0, count: 16), secret: server.secret,
                versions: 7...9)
            try await peer.send(FrameHeader(.hello), hello.hello)
            #expect(try await peer.receive()?.0.status == .noCommonVersion)
            #expect(try await peer.receive() == nil)
            let bad = await remoteError {
                _ = try await PageServer.start(
                    on: server.reactor, at: .ipv4("127.0.0.1", port: 0),
                    exports: ["": .init(try MemoryStore(byteCount: 1))], secret: server.secret)
            }
            #expect(bad?.code == .badName)
            let taken = await remoteError {
                _ = try await PageServer.start(
                    on: server.reactor, at: server.address, exports: [:], secret: server.secret)
            }
            #expect(taken?.code == .unreachable && taken?.reactorError?.code == .addressInUse)
        }
    }

    @Test func `what is no frame ends the connection, and no other`() async throws {
        try await withServer { server, running in
            let store = try await server.connect()
            let hello = ClientHandshake(
                export: "pages", client: [UInt8](repeating: 0, count: 16), secret: server.secret
            ).hello
            var damaged = WireTests.encode(FrameHeader(.hello), hello)
            damaged[60] ^= 1
            let long = WireTests.encode(FrameHeader(.hello), [UInt8](repeating: 1, count: 1025))
            for bytes in [Array("GET / HTTP/1.1\r\n\r\n".utf8), damaged, long] {
                let peer = try await RawPeer(server.reactor, server.address)
                try await peer.connection.write(bytes)
                #expect(try await peer.receive() == nil)
            }
            #expect(await running.statistics().cutOff == 3)
            // The same from somebody who was let in.
            for change in [0, 4, 44] {
                let peer = try await RawPeer(server.reactor, server.address)
                #expect(try await peer.shakeHands(server.secret)?.0.kind == .welcome)
                var frame = WireTests.encode(FrameHeader(.read, number: 1, offset: 0, count: 4096))
                frame[change] ^= 0x40
                try await peer.connection.write(frame)
                #expect(try await peer.receive() == nil)
            }
            let answer = try await RawPeer(server.reactor, server.address)
            _ = try await answer.shakeHands(server.secret)
            try await answer.send(FrameHeader(.answer, number: 3))
            #expect(try await answer.receive() == nil, "answers are the server's")
            let reasons = server.events.all.compactMap { event in
                if case .cutOff(let error) = event { error } else { nil }
            }
            #expect(reasons.count == 7 && reasons.allSatisfy { $0.code == .protocolViolation })
            #expect(try await store.bytes(0..<10) == [UInt8](repeating: 7, count: 10), "the others go on")
        }
    }

    @Test func `lengths and offsets out of range get an error each, and the connection goes on`() async throws
    {
        try await withServer(isReadOnly: true) { server, running in
            let size = UInt64(16 * page)
            let peer = try await RawPeer(server.reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            let requests: [(FrameHeader, [UInt8], WireStatus)] = [
                (FrameHeader(.read, number: 1, offset: size, count: 1), [], .outOfRange),
                (FrameHeader(.read, number: 2, offset: .max, count: 1), [], .outOfRange),
                (FrameHeader(.read, number: 3, offset: 1, count: .max), [], .outOfRange),
                (FrameHeader(.read, number: 4, offset: 0, count: size + 1), [], .outOfRange),
                (FrameHeader(.read, number: 5, offset: 0, count: 0), [], .malformed),
                (FrameHeader(.write, number: 6, offset: 0, count: 2), [1, 2], .readOnly),
                (FrameHeader(.write, number: 7, offset: size - 1, count: 2), [1, 2], .outOfRange),
                (FrameHeader(.trim, number: 8, offset: 0, count: 1), [], .readOnly),
                (FrameHeader(.read, number: 9, offset: size - 1, count: 1), [], .success),
            ]
            for (header, payload, status) in requests {
                try await peer.send(header, payload)
                let answer = try #require(try await peer.receive())
                #expect(answer.0.status == status && answer.0.number == header.number)
                #expect(
                    status == .success ? answer.1 == [7] : !answer.1.isEmpty, "an error says what is wrong")
            }
            #expect(await running.statistics().cutOff == 0)
        }
    }

    @Test func `a request for more than is allowed is refused before it takes memory`() async throws {
        let store = try MemoryStore(byteCount: 64 << 20)
        try await withServer(store, { $0.requestByteLimit = 8192 }) { server, running in
            let peer = try await RawPeer(server.reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            try await peer.send(FrameHeader(.read, number: 1, offset: 0, count: 8193))
            #expect(try await peer.receive()?.0.status == .malformed)
            try await peer.send(
                FrameHeader(.write, number: 2, offset: 0, count: 8193), [UInt8](repeating: 0, count: 8193))
            #expect(
                try await peer.receive() == nil, "what is longer than a frame may be is not even received")
            #expect(await running.statistics().cutOff == 1)
            // A store of ours keeps to it by itself.
            let remote = try await server.connect()
            try await remote.put([UInt8](repeating: 3, count: 100_000), at: 50)
            #expect(try await remote.bytes(0..<200_000).count { $0 == 3 } == 100_000)
        }
    }

    @Test func `connections are limited, those that have proved nothing more than the others`() async throws {
        try await withServer(
            nil,
            {
                $0.connectionLimit = 3
                $0.handshakeLimit = 2
            }
        ) { server, running in
            let silent = try await RawPeer(server.reactor, server.address)
            let slow = try await RawPeer(server.reactor, server.address)
            try await slow.connection.write([0x46, 0x4C])
            try await eventually { await running.statistics().connections == 2 }
            #expect(await remoteError { _ = try await server.connect() }?.code == .busy)
            await silent.connection.close()
            await slow.connection.close()
            try await eventually { await running.statistics().connections == 0 }
            let stores = [try await server.connect(), try await server.connect(), try await server.connect()]
            #expect(await remoteError { _ = try await server.connect() }?.code == .busy)
            await stores[0].close()
            try await eventually { await running.statistics().connections == 2 }
            #expect(try await server.connect().byteCount == 16 * page)
            #expect(try await stores[1].bytes(0..<1) == [7])
            #expect(try await stores[2].bytes(0..<1) == [7])
        }
    }

    @Test func `who does not finish the handshake is let go`() async throws {
        try await withServer(nil, { $0.handshakeTimeout = .milliseconds(100) }) { server, running in
            let silent = try await RawPeer(server.reactor, server.address)
            let slow = try await RawPeer(server.reactor, server.address)
            try await slow.connection.write([0x46, 0x4C])
            #expect(try await silent.receive() == nil)
            #expect(try await slow.receive() == nil)
            let statistics = await running.statistics()
            #expect(statistics.cutOff == 2 && statistics.connections == 0)
        }
    }

    @Test func `a peer that stops reading is held back, then cut off, and harms nobody`() async throws {
        let store = try MemoryStore(copying: [UInt8](repeating: 7, count: 8 << 20))
        try await withServer(
            store,
            {
                $0.stallTimeout = .seconds(2)
                $0.windowByteCount = 4 << 20
            }
        ) { server, running in
            let peer = try await RawPeer(server.reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            let other = try await server.connect()
            // Far more than sockets and window hold. Nothing is read of it: `Connection` stops at its limit.
            let writer = Task {
                for number in 1...4000 {
                    try await peer.send(FrameHeader(.read, number: UInt64(number), offset: 0, count: 1 << 20))
                }
            }
            var most = 0
            var others = 0
            while await running.statistics().cutOff == 0 {
                most = max(most, await running.statistics().requests - others)
                others += 1
                #expect(try await other.bytes(0..<page) == [UInt8](repeating: 7, count: page))
            }
            #expect(most < 100, "no more is taken than the window has room for")
            _ = await writer.result
            let reason = server.events.all.compactMap { event in
                if case .cutOff(let error) = event { error } else { nil }
            }.first
            #expect(reason?.code == .timedOut)
            #expect(reason?.description.contains("takes none of its answers") == true)
            await peer.connection.close()
        }
    }

    /// Signs of life are answered outside of the window: they are held back nevertheless.
    @Test func `a peer that only pings, and reads nothing, is held back and cut off`() async throws {
        try await withServer(nil, { $0.stallTimeout = .seconds(1) }) { server, running in
            let peer = try await RawPeer(server.reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            let pings = [[UInt8]](repeating: FrameHeader(.ping).encoded, count: 1000).flatMap(\.self)
            let writer = Task {
                var sent = 0
                while (try? await peer.connection.write(pings)) != nil { sent += pings.count }
                return sent
            }
            try await eventually { await running.statistics().cutOff == 1 }
            // What sockets hold on the way there and back, and little more.
            #expect(await writer.value < 64 << 20)
            await peer.connection.close()
        }
    }

    @Test func `a peer that sends half a frame is cut off, one that is merely silent is not`() async throws {
        try await withServer(nil, { $0.stallTimeout = .milliseconds(200) }) { server, running in
            let silent = try await RawPeer(server.reactor, server.address)
            _ = try await silent.shakeHands(server.secret)
            let half = try await RawPeer(server.reactor, server.address)
            _ = try await half.shakeHands(server.secret)
            let frame = WireTests.encode(
                FrameHeader(.write, number: 1, offset: 0, count: 100), [UInt8](repeating: 1, count: 100))
            try await half.connection.write(Array(frame.prefix(80)))
            #expect(try await half.receive() == nil)
            #expect(await running.statistics().cutOff == 1)
            try await silent.send(FrameHeader(.ping))
            #expect(try await silent.receive()?.0 == FrameHeader(.answer))
            #expect(await running.statistics().writtenByteCount == 0)
        }
    }

    @Test func `what goes wrong in the server's store is told here as it is there`() async throws {
        let failing = FaultyStore(try MemoryStore(byteCount: 64 << 10)) { call in
            switch (call.operation, call.number) {
            case (.write, 1): throw StoreError(.noSpace, "no room in this test")
            case (.write, 2): throw StoreError(.inputOutput, "a bad spot")
            case (.read, 1): throw StoreError(.truncated, "too short")
            case (.flush, 1): throw StoreError(.inputOutput, "not durable")
            default: return .none
            }
        }
        try await withServer(failing) { server, _ in
            let store = try await server.connect()
            let first = await storeError { try await store.put([1, 2, 3], at: 10) }
            #expect(first?.code == .noSpace && first?.range == 10..<13)
            #expect(first?.description.contains("no room in this test") == true)
            #expect(await storeError { try await store.put([1, 2, 3], at: 10) }?.code == .inputOutput)
            let read = await storeError { _ = try await store.bytes(0..<10) }
            #expect(read?.description.contains("too short") == true)
            try await store.put([1, 2, 3], at: 10)
            #expect(await storeError { try await store.flush() }?.code == .inputOutput)
            try await store.flush()
            #expect(try await store.bytes(9..<14) == [0, 1, 2, 3, 0])
            let statistics = await store.statistics()
            #expect(statistics.replayedByteCount == 3, "what a failed flush may have lost is written again")
            #expect(statistics.unflushedByteCount == 0)
        }
    }

    @Test func `a read-only store is not written`() async throws {
        try await withServer(isReadOnly: true) { server, running in
            let store = try await server.connect()
            #expect(store.isReadOnly)
            #expect(await storeError { try await store.put([1], at: 0) }?.code == .readOnly)
            #expect(await storeError { try await store.trim([0..<1]) }?.code == .readOnly)
            try await store.flush()
            #expect(await running.statistics().requests == 1)
        }
    }

    @Test func `an address where nobody listens, or nobody answers, is an error in time`() async throws {
        try await withReactor { reactor in
            let secret = SharedSecret.random().secret
            let nobody = await remoteError {
                _ = try await RemoteStore.connect(
                    to: .unix(path: "/tmp/faultline-nobody"), export: "x", secret: secret, on: reactor)
            }
            #expect(nobody?.code == .unreachable)
            let bad = await remoteError {
                _ = try await RemoteStore.connect(
                    to: .ipv4("localhost", port: 1), export: "x", secret: secret, on: reactor)
            }
            #expect(bad?.reactorError?.code == .badAddress)
            let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
            var options = RemoteStore.Options()
            options.connectTimeout = .milliseconds(50)
            let silent = await remoteError {
                _ = try await RemoteStore.connect(
                    to: listener.address, export: "x", secret: secret, on: reactor, options: options)
            }
            #expect(silent?.code == .timedOut)
            let cancelled = Task {
                await remoteError {
                    _ = try await RemoteStore.connect(
                        to: listener.address, export: "x", secret: secret, on: reactor)
                }
            }
            cancelled.cancel()
            #expect(await cancelled.value?.code == .cancelled)
            await listener.close()
        }
    }
}
