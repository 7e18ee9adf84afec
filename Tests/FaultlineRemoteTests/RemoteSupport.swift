import EventReactor
import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing
import Userfault

/// Where a server of a test listens.
enum Transport: String, CaseIterable, CustomTestStringConvertible {
    case tcp, unix

    var testDescription: String { rawValue }

    var address: SocketAddress {
        switch self {
        case .tcp: .ipv4("127.0.0.1", port: 0)
        case .unix: .unix(path: "/tmp/faultline-remote-\(UInt64.random(in: 0 ... .max)).socket")
        }
    }
}

/// A page server for a test, which can be killed and started again where it was.
final class TestServer: Sendable {
    let reactor: Reactor
    let secret = SharedSecret.random().secret
    let events = Log<PageServer.Event>()
    private let state: Lock<State>

    private struct State {
        var address: SocketAddress
        var server: PageServer?
        var options: PageServer.Options
    }

    init(
        _ transport: Transport = .tcp, on reactor: Reactor,
        _ change: (inout PageServer.Options) -> Void = { _ in }
    ) {
        self.reactor = reactor
        var options = PageServer.Options()
        // A machine that is busy with something else is no failure.
        options.handshakeTimeout = .seconds(240)
        options.onEvent = { [events] in events.add($0) }
        change(&options)
        state = Lock(State(address: transport.address, options: options))
    }

    var address: SocketAddress { state.withLock { $0.address } }
    var server: PageServer? { state.withLock { $0.server } }

    /// Serves a store under the name `pages`, and others under theirs.
    @discardableResult
    func start(
        _ store: any PageStore, isReadOnly: Bool = false, others: [String: PageServer.Export] = [:]
    ) async throws -> PageServer {
        let (address, options) = state.withLock { ($0.address, $0.options) }
        let exports = others.merging(["pages": .init(store, isReadOnly: isReadOnly)]) { $1 }
        let server = try await PageServer.start(
            on: reactor, at: address, exports: exports, secret: secret, options: options)
        state.withLock {
            $0.address = server.address
            $0.server = server
        }
        return server
    }

    /// Lets go of the server.
    func forget() { state.withLock { $0.server = nil } }

    /// Ends the connections, as a kill would.
    func kill() async {
        let server = state.withLock { state in
            defer { state.server = nil }
            return state.server
        }
        await server?.shutdown(within: .zero)
    }

    /// A store of this server. `change` gets the options, with pauses that suit tests.
    func connect(
        _ export: String = "pages", secret: SharedSecret? = nil, on reactor: Reactor? = nil,
        _ change: (inout RemoteStore.Options) -> Void = { _ in }
    ) async throws -> RemoteStore {
        var options = RemoteStore.Options.patient
        change(&options)
        return try await RemoteStore.connect(
            to: address, export: export, secret: secret ?? self.secret, on: reactor ?? self.reactor,
            options: options)
    }
}

extension RemoteStore.Options {
    /// Short pauses; and patience with everything else, since a machine that is busy with something else is no failure. The
    /// first sign of life is asked for when the test has long failed.
    static var patient: Self {
        var options = Self()
        options.connectTimeout = .seconds(240)
        options.keepAlive = .seconds(600)
        options.firstPause = .milliseconds(1)
        options.longestPause = .milliseconds(20)
        return options
    }
}

/// What happened, in order.
final class Log<Value: Sendable>: Sendable {
    private let values = Lock<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    var all: [Value] { values.withLock { $0 } }
    func clear() { values.withLock { $0 = [] } }
}

/// Runs a test with a reactor, which is shut down in the end.
func withReactor<T>(_ body: (Reactor) async throws -> T) async throws -> T {
    let reactor = try Reactor.start()
    do {
        let result = try await body(reactor)
        await reactor.shutdown()
        return result
    } catch {
        await reactor.shutdown()
        throw error
    }
}

extension [RemoteStore.Event] {
    /// Whether a connection ended for this reason.
    func contains(code: RemoteError.Code) -> Bool {
        contains { if case .disconnected(let error, _) = $0 { error.code == code } else { false } }
    }
}

/// Returns when `condition` holds; the test's time limit is the end of patience.
func eventually(_ condition: () async throws -> Bool) async throws {
    while try await !condition() {
        try Task.checkCancellation()
        try await Task.sleep(for: .milliseconds(1))
    }
}

/// Returns what `find` has found at last.
func eventually<T>(_ find: () async throws -> T?) async throws -> T {
    while true {
        if let found = try await find() { return found }
        try Task.checkCancellation()
        try await Task.sleep(for: .milliseconds(1))
    }
}

extension PageStore {
    func bytes(_ range: Range<Int>) async throws -> [UInt8] {
        let memory = try PageMemory(byteCount: max(range.count, 1))
        memory.write([UInt8](repeating: 0xEE, count: range.count), at: 0)
        try await read([StoreRead(from: range.lowerBound, into: memory, 0..<range.count)])
        return memory.readBytes(0..<range.count)
    }

    func put(_ bytes: [UInt8], at offset: Int) async throws {
        let memory = try PageMemory(byteCount: bytes.count)
        memory.write(bytes, at: 0)
        try await write([StoreWrite(memory, 0..<bytes.count, to: offset)])
    }
}

/// The error that `body` throws, if it is one of ours.
func remoteError(_ body: () async throws -> Void) async -> RemoteError? {
    do {
        try await body()
        return nil
    } catch { return error as? RemoteError }
}

func storeError(_ body: () async throws -> Void) async -> StoreError? {
    do {
        try await body()
        return nil
    } catch { return error as? StoreError }
}

/// A store that keeps readers, writers or flushers waiting until it is opened.
final class GatedStore: PageStore {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
        var order: [Range<Int>] = []
    }

    let store: any PageStore
    private let closes: Set<FaultyStore.Operation>
    private let state = Lock(State())

    init(_ store: any PageStore, closing operations: Set<FaultyStore.Operation> = [.read]) {
        self.store = store
        closes = operations
    }

    var byteCount: Int { store.byteCount }
    /// How many wait.
    var waitingCount: Int { state.withLock { $0.waiters.count } }
    /// What was asked for, in order.
    var order: [Range<Int>] { state.withLock { $0.order } }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func pass(_ operation: FaultyStore.Operation, _ range: Range<Int>) async {
        state.withLock { $0.order.append(range) }
        guard closes.contains(operation) else { return }
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func read(_ pieces: [StoreRead]) async throws {
        for piece in pieces { await pass(.read, piece.range) }
        try await store.read(pieces)
    }
    func write(_ pieces: [StoreWrite]) async throws {
        for piece in pieces { await pass(.write, piece.range) }
        try await store.write(pieces)
    }
    func flush() async throws {
        await pass(.flush, 0..<0)
        try await store.flush()
    }
}

/// What a machine with a disk has: a crash loses any of what was not flushed, and what the crashed program still does has no
/// effect.
final class CrashingDisk: Sendable {
    private struct State {
        var durable: [UInt8]
        var current: [UInt8]
        var unflushed: [(Int, [UInt8])] = []
        var generation = 0
        var lostWrites = 0
    }

    struct Store: PageStore {
        let disk: CrashingDisk
        let generation: Int
        var byteCount: Int { disk.byteCount }

        private struct Crashed: Error {}

        private func withState<R>(_ body: (inout State) throws -> R) throws -> R {
            try disk.state.withLock { state in
                guard state.generation == generation else { throw Crashed() }
                return try body(&state)
            }
        }

        func read(_ pieces: [StoreRead]) async throws {
            await Task.yield()
            for piece in pieces {
                piece.write(try withState { Array($0.current[piece.range]) })
            }
        }

        func write(_ pieces: [StoreWrite]) async throws {
            for piece in pieces {
                await Task.yield()
                let bytes = piece.readBytes()
                try withState { state in
                    state.current.replaceSubrange(piece.range, with: bytes)
                    state.unflushed.append((piece.offset, bytes))
                }
            }
        }

        func flush() async throws {
            await Task.yield()
            try withState { state in
                state.durable = state.current
                state.unflushed = []
            }
        }
    }

    let byteCount: Int
    private let state: Lock<State>

    init(_ bytes: [UInt8]) {
        byteCount = bytes.count
        state = Lock(State(durable: bytes, current: bytes))
    }

    /// A store as a program finds it that is started now.
    var store: Store { Store(disk: self, generation: state.withLock { $0.generation }) }
    /// What survives whatever happens.
    var durable: [UInt8] { state.withLock { $0.durable } }
    /// Writes that crashes have lost so far.
    var lostWrites: Int { state.withLock { $0.lostWrites } }

    func crash(_ random: inout TestRandom) {
        var coins = random
        _ = random.next()
        state.withLock { state in
            for (offset, bytes) in state.unflushed {
                if coins.chance(50) {
                    state.durable.replaceSubrange(offset..<offset + bytes.count, with: bytes)
                } else {
                    state.lostWrites += 1
                }
            }
            state.current = state.durable
            state.unflushed = []
            state.generation += 1
        }
    }
}
