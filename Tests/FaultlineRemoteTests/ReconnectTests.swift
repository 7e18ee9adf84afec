import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// Servers that go away and come back: calls wait, and nothing is lost.
@Suite(.timeLimit(.minutes(5)))
struct ReconnectTests {
    let page = SystemPage.size
    let seed = TestSeed()

    private func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 / 7 + 1) }
    }

    @Test func `calls wait while the server is away`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: pattern(8 * page))
            try await server.start(memory)
            let events = Log<RemoteStore.Event>()
            let store = try await server.connect { $0.onEvent = { events.add($0) } }
            await server.kill()
            let readers = (0..<8).map { number in
                Task { try await store.bytes(number * page..<(number + 1) * page) }
            }
            let writer = Task { try await store.put([9, 9], at: 5) }
            let flusher = Task { try await store.flush() }
            try await eventually { await store.statistics().pendingRequests == 10 }
            // Many attempts later everything still waits.
            try await eventually { events.all.count > 5 }
            #expect(await store.statistics().pendingRequests == 10)
            try await server.start(memory)
            for (number, reader) in readers.enumerated() where number > 0 {
                #expect(
                    try await reader.value == Array(pattern(8 * page)[number * page..<(number + 1) * page]))
            }
            _ = try await readers[0].value
            try await writer.value
            try await flusher.value
            #expect(memory.readBytes(5..<7) == [9, 9])
            let statistics = await store.statistics()
            #expect(statistics.isConnected && statistics.connections == 2 && statistics.pendingRequests == 0)
            let disconnections = events.all.compactMap { event in
                if case .disconnected(let error, let pause) = event { (error, pause) } else { nil }
            }
            #expect(disconnections.first?.0.code == .unreachable)
            #expect(
                disconnections.map(\.1).max() ?? .zero <= .milliseconds(25),
                "the longest pause, and a quarter")
            #expect(disconnections.map(\.1).max() ?? .zero > disconnections[0].1 * 2, "pauses grow")
            await server.kill()
        }
    }

    @Test func `what was acknowledged and not flushed is written again to a server that lost it`()
        async throws
    {
        try await withReactor { reactor in
            let server = TestServer(.unix, on: reactor)
            let disk = CrashingDisk([UInt8](repeating: 0, count: 64 * page))
            try await server.start(disk.store)
            let store = try await server.connect()
            var random = TestRandom(seed)
            var model = [UInt8](repeating: 0, count: disk.byteCount)
            for round in 0..<20 {
                for _ in 0..<10 {
                    let start = random.below(60) * page
                    if random.chance(20) {
                        let range = start..<start + random.below(3 * page)
                        try await store.trim([range])
                        model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
                    } else {
                        let bytes = (0..<1 + random.below(3 * page)).map { _ in UInt8(1 + random.below(255)) }
                        try await store.put(bytes, at: start)
                        model.replaceSubrange(start..<start + bytes.count, with: bytes)
                    }
                    if random.chance(10) { try await store.flush() }
                }
                await server.kill()
                disk.crash(&random)
                try await server.start(disk.store)
                let isRight = try await store.bytes(0..<disk.byteCount) == model
                #expect(isRight, "round \(round); \(seed)")
            }
            #expect(disk.lostWrites > 20, "the crashes were real ones")
            try await store.flush()
            #expect(disk.durable == model, "\(seed)")
            let statistics = await store.statistics()
            #expect(statistics.replayedByteCount > 0 && statistics.unflushedByteCount == 0)
            await server.kill()
        }
    }

    @Test func `a flush that was under way when the server crashed is not over before all is durable`()
        async throws
    {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let disk = CrashingDisk([UInt8](repeating: 0, count: 16 * page))
            let gated = GatedStore(disk.store, closing: [.flush])
            try await server.start(gated)
            let store = try await server.connect()
            for number in 0..<16 {
                try await store.put(
                    Array(pattern(16 * page)[number * page..<(number + 1) * page]), at: number * page)
            }
            let flushed = Lock(false)
            let flush = Task {
                try await store.flush()
                flushed.withLock { $0 = true }
            }
            try await eventually { gated.waitingCount == 1 }
            var random = TestRandom(seed)
            disk.crash(&random)
            // What the old program still does has no effect, and nobody hears of it.
            let kill = Task { await server.kill() }
            try await eventually { await store.statistics().isConnected == false }
            gated.open()
            await kill.value
            #expect(flushed.withLock { $0 } == false)
            #expect(disk.durable != pattern(16 * page))
            try await server.start(disk.store)
            try await flush.value
            #expect(disk.durable == pattern(16 * page))
            await server.kill()
        }
    }

    @Test func `a broken connection to the same server loses nothing and writes nothing twice`() async throws
    {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: pattern(64 * page))
            let running = try await server.start(memory)
            let proxy = try await Proxy(reactor, to: server.address)
            let store = try await RemoteStore.connect(
                to: proxy.address, export: "pages", secret: server.secret, on: reactor, options: .patient)
            try await store.put([1, 2, 3], at: 0)
            let cutter = Task {
                for _ in 0..<4 {
                    let count = await store.statistics().connections
                    try await eventually { await proxy.cut() }
                    try await eventually { await store.statistics().connections > count }
                }
            }
            while await store.statistics().connections < 5 {
                #expect(try await store.bytes(page..<3 * page) == Array(pattern(64 * page)[page..<3 * page]))
            }
            try await cutter.value
            #expect(await store.statistics().replayedByteCount == 0, "it has not lost anything")
            #expect(await running.statistics().writtenByteCount == 3)
            await proxy.close()
            await server.kill()
        }
    }

    /// Also in the midst of handshakes; without a sign of life from the server each loss would take long to notice.
    @Test func `connections that break at any moment are noticed at once`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let bytes = pattern(64 * page)
            try await server.start(try MemoryStore(copying: bytes))
            let proxy = try await Proxy(reactor, to: server.address)
            let events = Log<RemoteStore.Event>()
            var options = RemoteStore.Options.patient
            options.longestPause = .milliseconds(5)
            options.onEvent = { events.add($0) }
            let store = try await RemoteStore.connect(
                to: proxy.address, export: "pages", secret: server.secret, on: reactor, options: options)
            // So many and no more: a busy machine might get no connection through between them.
            let isDone = Lock(false)
            let cutter = Task {
                var random = TestRandom(seed)
                var cuts = 0
                while cuts < 100 {
                    if await proxy.cut() { cuts += 1 }
                    for _ in 0..<random.below(60) { await Task.yield() }
                }
                isDone.withLock { $0 = true }
            }
            while !isDone.withLock({ $0 }) {
                #expect(try await store.bytes(page..<3 * page) == Array(bytes[page..<3 * page]))
            }
            await cutter.value
            #expect(try await store.bytes(page..<3 * page) == Array(bytes[page..<3 * page]))
            for event in events.all {
                if case .disconnected(let error, _) = event {
                    #expect(error.code == .unreachable, "\(error); \(seed)")
                }
            }
            await proxy.close()
            await server.kill()
        }
    }

    @Test func `damage on the way breaks the connection, and shows no wrong byte`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let bytes = pattern(64 * page)
            try await server.start(try MemoryStore(copying: bytes))
            let proxy = try await Proxy(reactor, to: server.address)
            let events = Log<RemoteStore.Event>()
            var options = RemoteStore.Options.patient
            options.onEvent = { events.add($0) }
            let store = try await RemoteStore.connect(
                to: proxy.address, export: "pages", secret: server.secret, on: reactor, options: options)
            for round in 0..<20 {
                proxy.damage(1 + round % 3)
                let start = round * page
                #expect(
                    try await store.bytes(start..<start + 4 * page) == Array(bytes[start..<start + 4 * page]))
            }
            let codes = Set(
                events.all.compactMap { event in
                    if case .disconnected(let error, _) = event { error.code } else { nil }
                })
            #expect(codes.contains(.protocolViolation), "\(codes)")
            await proxy.close()
            await server.kill()
        }
    }

    @Test func `the first sending of a write never overtakes what followed the second`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(byteCount: 4 * page)
            let gated = GatedStore(memory, closing: [.write])
            let running = try await server.start(gated)
            let proxy = try await Proxy(reactor, to: server.address)
            let events = Log<RemoteStore.Event>()
            var options = RemoteStore.Options.patient
            options.connectTimeout = .seconds(2)
            options.onEvent = { events.add($0) }
            let store = try await eventually {
                try? await RemoteStore.connect(
                    to: proxy.address, export: "pages", secret: server.secret, on: reactor, options: options)
            }
            let old = Task { try await store.put([1], at: 0) }
            try await eventually { gated.waitingCount == 1 }
            await proxy.cut()
            let new = Task {
                try await old.value
                try await store.put([2], at: 0)
            }
            // It tries to come back, and is not let in as long as the store works on its first write.
            let accepted = await running.statistics().accepted
            try await eventually { events.all.contains(code: .timedOut) }
            #expect(await running.statistics().accepted == accepted)
            #expect(await store.statistics().isConnected == false)
            gated.open()
            try await new.value
            #expect(memory.readBytes(0..<1) == [2])
            #expect(await running.statistics().accepted > accepted)
            await proxy.close()
            await server.kill()
        }
    }

    @Test func `patience has an end if the options say so`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: [5])
            try await server.start(memory)
            let events = Log<RemoteStore.Event>()
            let store = try await server.connect {
                $0.patience = .milliseconds(50)
                $0.onEvent = { events.add($0) }
            }
            await server.kill()
            let error = await remoteError { _ = try await store.bytes(0..<1) }
            #expect(error?.code == .disconnected)
            #expect(error?.description.contains("start it again") == true)
            #expect(await remoteError { try await store.flush() }?.code == .disconnected, "at once")
            try await server.start(memory)
            try await eventually { await store.statistics().isConnected }
            #expect(try await store.bytes(0..<1) == [5])
            #expect(events.all.contains { if case .gaveUp = $0 { true } else { false } })
            await server.kill()
        }
    }

    @Test func `a server that comes back with another store is not taken for the old one`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: pattern(4 * page))
            try await server.start(memory)
            let events = Log<RemoteStore.Event>()
            let store = try await server.connect { $0.onEvent = { events.add($0) } }
            try await store.put([1], at: 0)
            await server.kill()
            func sees(_ code: RemoteError.Code) async throws {
                events.clear()
                try await eventually { events.all.contains(code: code) }
            }
            let reader = Task { try await store.bytes(page..<page + 4) }
            try await server.start(try MemoryStore(byteCount: 5 * page))
            try await sees(.storeChanged)
            await server.kill()
            try await server.start(memory, isReadOnly: true)
            try await sees(.storeChanged)
            await server.kill()
            // Writable, but what was not flushed is not taken again: nobody reads what is there instead.
            let full = FaultyStore(try MemoryStore(byteCount: 4 * page)) { call in
                if call.operation == .write { throw StoreError(.noSpace, "full") }
                return .none
            }
            try await server.start(full)
            try await sees(.notReplayed)
            #expect(full.count(.read) == 0)
            await server.kill()
            try await server.start(memory)
            #expect(try await reader.value == Array(pattern(4 * page)[page..<page + 4]))
            await server.kill()
        }
    }

    @Test func `what is kept for a server that may lose it has a limit`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let disk = CrashingDisk([UInt8](repeating: 0, count: 8 << 20))
            let slow = GatedStore(disk.store, closing: [.flush])
            try await server.start(slow)
            let store = try await server.connect { $0.unflushedByteLimit = 1 << 20 }
            let writer = Task { try await store.put([UInt8](repeating: 3, count: 8 << 20), at: 0) }
            try await eventually { slow.waitingCount == 1 }
            try await eventually { await store.statistics().unflushedByteCount == 1 << 20 }
            #expect(slow.order.count == 9, "eight parts, and the flush that makes room")
            slow.open()
            try await writer.value
            #expect(await store.statistics().unflushedByteCount <= 1 << 20)
            try await store.flush()
            #expect(disk.durable == [UInt8](repeating: 3, count: 8 << 20))
            await server.kill()
        }
    }

    @Test func `room that cannot be made fails the writes that wait for it`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(byteCount: 8 << 20)
            let faulty = FaultyStore(memory) { call in
                if call.operation == .flush, call.number < 3 { throw StoreError(.inputOutput, "bad disk") }
                return .none
            }
            try await server.start(faulty)
            let store = try await server.connect { $0.unflushedByteLimit = 1 << 20 }
            let bytes = [UInt8](repeating: 3, count: 8 << 20)
            #expect(await storeError { try await store.put(bytes, at: 0) }?.code == .inputOutput)
            try await eventually {
                do {
                    try await store.put(bytes, at: 0)
                    return true
                } catch { return false }
            }
            try await store.flush()
            #expect(memory.readBytes(0..<bytes.count) == bytes)
            await server.kill()
        }
    }

    @Test func `a server that falls silent is noticed`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            try await server.start(try MemoryStore(copying: [7]))
            let proxy = try await Proxy(reactor, to: server.address)
            var options = RemoteStore.Options.patient
            options.keepAlive = .seconds(1)
            options.connectTimeout = .seconds(2)
            let events = Log<RemoteStore.Event>()
            options.onEvent = { events.add($0) }
            let store = try await eventually {
                try? await RemoteStore.connect(
                    to: proxy.address, export: "pages", secret: server.secret, on: reactor, options: options)
            }
            // A server that has nothing to say but that it is there is not given up.
            let welcomed = proxy.answerCount
            try await eventually { proxy.answerCount >= welcomed + 3 }
            proxy.holdUp(true)
            let reader = Task { try await store.bytes(0..<1) }
            try await eventually { events.all.contains(code: .timedOut) }
            proxy.holdUp(false)
            #expect(try await reader.value == [7])
            await proxy.close()
            await server.kill()
        }
    }

    @Test func `closing lets everybody go with an error that says so`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let gated = GatedStore(try MemoryStore(byteCount: page))
            let running = try await server.start(gated)
            let store = try await server.connect()
            let reader = Task { await remoteError { _ = try await store.bytes(0..<1) } }
            try await eventually { gated.waitingCount == 1 }
            await store.close()
            #expect(await reader.value?.code == .closed)
            #expect(await remoteError { try await store.flush() }?.code == .closed)
            await store.close()
            try await eventually { await running.statistics().connections == 0 }
            gated.open()
            await server.kill()
            #expect(await running.statistics().operations == 0)
            #expect(await remoteError { _ = try await server.connect() }?.code == .unreachable)
        }
    }

    @Test func `the end of the reactor is the end of its stores`() async throws {
        try await withReactor { serving in
            let server = TestServer(.tcp, on: serving)
            let gated = GatedStore(try MemoryStore(byteCount: page))
            try await server.start(gated)
            let reactor = try Reactor.start()
            let store = try await server.connect(on: reactor)
            let reader = Task { await remoteError { _ = try await store.bytes(0..<1) } }
            try await eventually { gated.waitingCount == 1 }
            await reactor.shutdown()
            #expect(await reader.value?.code == .closed)
            #expect(await remoteError { try await store.flush() }?.code == .closed)
            gated.open()
            await server.kill()
        }
    }

    @Test func `letting go of a store or a server closes its connections`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let running = try await server.start(try MemoryStore(copying: [1]))
            var store: RemoteStore? = try await server.connect()
            #expect(try await store?.bytes(0..<1) == [1])
            store = nil
            try await eventually { await running.statistics().connections == 0 }
            let other = TestServer(.unix, on: reactor)
            let address: SocketAddress
            do { address = try await other.start(try MemoryStore(byteCount: 1)).address }
            let client = try await other.connect()
            other.forget()
            try await eventually { await client.statistics().isConnected == false }
            try await eventually {
                do {
                    await (try await reactor.connect(to: address)).close()
                    return false
                } catch { return true }
            }
            await server.kill()
        }
    }

    @Test func `a call that is cancelled while the server is away ends, and the others do not`() async throws
    {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: [1, 2, 3])
            try await server.start(memory)
            let store = try await server.connect()
            await server.kill()
            let first = Task { await remoteError { _ = try await store.bytes(0..<1) } }
            let second = Task { try await store.bytes(0..<3) }
            try await eventually { await store.statistics().pendingRequests == 2 }
            first.cancel()
            #expect(await first.value?.code == .cancelled)
            #expect(await store.statistics().pendingRequests == 1)
            try await server.start(memory)
            #expect(try await second.value == [1, 2, 3])
            await server.kill()
        }
    }

    @Test func `an orderly shutdown answers what it has received`() async throws {
        try await withReactor { reactor in
            let server = TestServer(.tcp, on: reactor)
            let memory = try MemoryStore(copying: pattern(4 * page))
            let gated = GatedStore(memory, closing: [.read, .write])
            let running = try await server.start(gated)
            let store = try await server.connect()
            let reader = Task { try await store.bytes(0..<page) }
            let writer = Task { try await store.put([9], at: 3 * page) }
            try await eventually { gated.waitingCount == 2 }
            let ending = Task { await running.shutdown(within: .seconds(600)) }
            try await eventually { await remoteError { _ = try await server.connect() } != nil }
            gated.open()
            await ending.value
            #expect(try await reader.value == Array(pattern(page)))
            try await writer.value
            #expect(memory.readBytes(3 * page..<3 * page + 1) == [9])
            #expect(await store.statistics().connections == 1)
        }
    }
}
