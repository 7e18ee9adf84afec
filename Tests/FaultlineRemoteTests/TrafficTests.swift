import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// The order of what goes over a connection, and servers that do not keep to the protocol.
@Suite(.timeLimit(.minutes(5)))
struct TrafficTests {
    let page = SystemPage.size

    @Test func `an urgent read goes before all bulk that is not under way`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let gated = GatedStore(try MemoryStore(byteCount: 16 << 20))
            try await server.start(gated)
            let store = try await server.connect()
            let bulk = Task { try await store.bytes(0..<8 << 20) }
            try await eventually { gated.waitingCount == 8 }
            let urgent = Task { try await store.bytes(12 << 20..<(12 << 20) + page) }
            try await eventually { gated.waitingCount == 9 }
            #expect(gated.order.last == 12 << 20..<(12 << 20) + page)
            gated.open()
            #expect(try await urgent.value.count == page)
            #expect(try await bulk.value.count == 8 << 20)
            await server.kill()
        }
    }

    @Test func `a server answers urgent requests of a client before its bulk ones`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let gated = GatedStore(try MemoryStore(byteCount: 16 << 20))
            try await server.start(gated)
            let peer = try await RawPeer(reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            for number in 1...200 {
                try await peer.send(
                    FrameHeader(
                        .read, number: UInt64(number), offset: UInt64(number * page), count: UInt64(page)))
            }
            // Bulk may not have all the places.
            try await eventually { gated.waitingCount == 32 }
            for number in 201...210 {
                try await peer.send(
                    FrameHeader(.read, flags: .urgent, number: UInt64(number), offset: 0, count: UInt64(page))
                )
            }
            try await eventually { gated.waitingCount == 42 }
            // All of them are ready in the same turn, and none before the others are.
            let hold = await LoopHold.take(reactor)
            gated.open()
            hold.release()
            var numbers: Set<UInt64> = []
            var lastUrgent = 0
            for position in 0..<210 {
                let (header, payload) = try #require(try await peer.receive())
                #expect(header.kind == .answer && payload.count == page)
                numbers.insert(header.number)
                if header.number > 200 { lastUrgent = position }
            }
            #expect(numbers.count == 210)
            #expect(lastUrgent < 60, "behind what was being read, at most")
            await server.kill()
        }
    }

    @Test func `answers come in the order in which they are ready`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let slow = Lock<CheckedContinuation<Void, Never>?>(nil)
            let store = FaultyStore(try MemoryStore(copying: [UInt8](repeating: 1, count: 8 * page))) {
                call in
                if call.ranges == [0..<1] {
                    await withCheckedContinuation { waiting in slow.withLock { $0 = waiting } }
                }
                return .none
            }
            try await server.start(store)
            let remote = try await server.connect()
            let first = Task { try await remote.bytes(0..<1) }
            try await eventually { slow.withLock { $0 != nil } }
            for number in 1..<8 {
                #expect(try await remote.bytes(number * page..<number * page + 2) == [1, 1])
            }
            slow.withLock { $0 }?.resume()
            #expect(try await first.value == [1])
            await server.kill()
        }
    }

    @Test func `many calls of many tasks share a connection`() async throws {
        try await withReactor { reactor in
            try await withReactor { other in
                let server = TestServer(.unix, on: reactor)
                let bytes = (0..<256 * page).map { UInt8(truncatingIfNeeded: $0 / page) }
                let running = try await server.start(try MemoryStore(copying: bytes))
                let store = try await server.connect(on: other)
                let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
                    for task in 0..<32 {
                        group.addTask {
                            var wrong = 0
                            for step in 0..<50 {
                                let number = (task * 53 + step * 7) % 255
                                let start = number * page + 100
                                if try await store.bytes(start..<start + page)
                                    != Array(bytes[start..<start + page])
                                {
                                    wrong += 1
                                }
                            }
                            return wrong
                        }
                    }
                    return try await group.reduce(0, +)
                }
                #expect(wrong == 0)
                #expect(await running.statistics().accepted == 1)
                #expect(await running.statistics().requests >= 1600)
                await server.kill()
            }
        }
    }

    @Test func `zeroes are not sent`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let file = TemporaryFile([])
            try await server.start(
                try FileStore(
                    path: file.path, options: FileStore.Options(byteCount: 64 * page, isSparse: true)))
            let peer = try await RawPeer(reactor, server.address)
            _ = try await peer.shakeHands(server.secret)
            try await peer.send(FrameHeader(.read, number: 1, offset: 0, count: UInt64(4 * page)))
            let (header, payload) = try #require(try await peer.receive())
            #expect(header.flags == .zero && payload.isEmpty)
            let store = try await server.connect()
            #expect(try await store.bytes(0..<64 * page) == [UInt8](repeating: 0, count: 64 * page))
            await server.kill()
        }
    }

    @Test func `a file that is cut short under a server is an error, and no end of it`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let file = TemporaryFile([UInt8](repeating: 5, count: 8 * page))
            try await server.start(try FileStore(path: file.path, options: .init(reading: .mapped)))
            let store = try await server.connect()
            #expect(try await store.bytes(0..<4) == [5, 5, 5, 5])
            file.truncate()
            let error = await storeError { _ = try await store.bytes(0..<page) }
            #expect(error?.description.contains("shorter") == true, "\(String(describing: error))")
            await server.kill()
        }
    }

    @Test func `only users who may connect to a UNIX socket do`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.unix, on: reactor) { $0.listener.peerPolicy = PeerPolicy { _ in false } }
            let running = try await server.start(try MemoryStore(byteCount: 1))
            #expect(await remoteError { _ = try await server.connect() }?.code == .unreachable)
            #expect(await running.statistics().accepted == 0)
            await server.kill()
        }
    }

    // MARK: Servers that do not keep to it

    private func withRawServer(
        _ body: (RawServer, Reactor, @escaping @Sendable () async throws -> RemoteStore) async throws -> Void
    ) async throws {
        try await withReactor { reactor in
            let secret = SharedSecret.random().secret
            let server = try await RawServer(reactor, secret)
            let address = server.listener.address
            try await body(server, reactor) {
                try await RemoteStore.connect(
                    to: address, export: "pages", secret: secret, on: reactor, options: .patient)
            }
            await server.listener.close()
        }
    }

    @Test func `a server that does not know the secret is not used`() async throws {
        try await withRawServer { server, _, connect in
            let client = Task { await remoteError { _ = try await connect() } }
            let peer = try await server.accept(
                RawServer.terms(byteCount: 100), proving: SharedSecret.random().secret)
            #expect(await client.value?.code == .wrongSecret)
            #expect(try await peer.receive() == nil, "nothing is asked of it")
            let second = Task { await remoteError { _ = try await connect() } }
            let liar = RawPeer(connection: try await server.listener.accept())
            _ = try await liar.receive()
            try await liar.connection.write(Array("SSH-2.0-OpenSSH_9.6\r\n".utf8))
            #expect(await second.value?.code == .protocolViolation)
        }
    }

    /// Each of these ends the connection; the call is answered by the next one.
    @Test(arguments: [
        FrameHeader(.answer, number: 999), FrameHeader(.read, number: 1, offset: 0, count: 10),
        FrameHeader(.answer, flags: .zero, number: 2), FrameHeader(.welcome),
    ])
    func `answers that fit no question break the connection, and the question is asked again`(
        _ bad: FrameHeader
    )
        async throws
    {
        try await withRawServer { server, _, connect in
            let client = Task { try await connect() }
            let first = try await server.accept(RawServer.terms(byteCount: page))
            let store = try await client.value
            let call = Task { try await store.put([1, 2], at: 0) }
            #expect(try await first.receive()?.0.kind == .write)
            try await first.send(bad)
            let second = try await server.accept(RawServer.terms(byteCount: page))
            let (header, payload) = try #require(try await second.receive())
            #expect(header.kind == .write && payload == [1, 2])
            try await second.send(FrameHeader(.answer, number: header.number))
            try await call.value
            // A read answered with too little, or too much.
            let reader = Task { try await store.bytes(0..<4) }
            let (read, _) = try #require(try await second.receive())
            try await second.send(FrameHeader(.answer, number: read.number), [1, 2, 3])
            let third = try await server.accept(RawServer.terms(byteCount: page))
            let (again, _) = try #require(try await third.receive())
            try await third.send(FrameHeader(.answer, number: again.number), [1, 2, 3, 4])
            #expect(try await reader.value == [1, 2, 3, 4])
            await store.close()
        }
    }

    /// Whoever reads before everything is written again sees old bytes: so nobody does.
    @Test func `a server that is another instance gets the writes before anything else`() async throws {
        try await withRawServer { server, _, connect in
            let client = Task { try await connect() }
            let first = try await server.accept(RawServer.terms(byteCount: 4 * page))
            let store = try await client.value
            for value in 1...3 {
                let call = Task { try await store.put([UInt8(value)], at: 7) }
                let (header, _) = try #require(try await first.receive())
                try await first.send(FrameHeader(.answer, number: header.number))
                try await call.value
            }
            let trim = Task { try await store.trim([100..<200]) }
            let (header, _) = try #require(try await first.receive())
            try await first.send(FrameHeader(.answer, number: header.number))
            try await trim.value
            await first.connection.close()
            let reader = Task { try await store.bytes(7..<8) }
            let second = try await server.accept(RawServer.terms(byteCount: 4 * page, instance: 2))
            // Writes of the same byte, one after the other.
            for value in 1...3 {
                let (header, payload) = try #require(try await second.receive())
                #expect(header.kind == .write && header.offset == 7 && payload == [UInt8(value)])
                try await second.send(FrameHeader(.answer, number: header.number))
            }
            let (last, _) = try #require(try await second.receive())
            #expect(last.kind == .trim && last.offset == 100 && last.count == 100)
            // It crashes again, in the midst of it.
            await second.connection.close()
            let third = try await server.accept(RawServer.terms(byteCount: 4 * page, instance: 2))
            var kinds: [FrameKind] = []
            for _ in 0..<4 {
                let (header, _) = try #require(try await third.receive())
                kinds.append(header.kind)
                try await third.send(FrameHeader(.answer, number: header.number))
            }
            #expect(kinds == [.write, .write, .write, .trim])
            let (read, _) = try #require(try await third.receive())
            #expect(read.kind == .read)
            try await third.send(FrameHeader(.answer, number: read.number), [3])
            #expect(try await reader.value == [3])
            await store.close()
        }
    }
}
