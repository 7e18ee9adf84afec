internal import EventReactor
internal import Faultline

/// What a server is on the loop's thread.
///
/// `@unchecked Sendable`: only the loop thread touches its variables.
final class ServerCore: @unchecked Sendable {
    /// Whose requests must not overtake each other, over all connections.
    struct Client: Hashable {
        var export: String
        var identifier: [UInt8]
    }

    let reactor: Reactor
    let exports: [String: PageServer.Export]
    let secret: SharedSecret
    let options: PageServer.Options
    let writers: WorkerPool
    let memory = MemoryPool()
    /// New for every server: what was not flushed to another one may be lost.
    let instance = RandomBytes.make(Hello.identifierByteCount)
    private let listener: Listener

    var statistics = PageServer.Statistics()
    private var connections: [ObjectIdentifier: ServerConnection] = [:]
    /// The connection of each client, and those of its former ones that stores still work for.
    private var current: [Client: ServerConnection] = [:]
    private var draining: [Client: Int] = [:]
    private var isClosing = false
    private var shutdownWaiters: [Parked<Void>] = []
    private var deadline = TimerID.none

    init(
        _ reactor: Reactor, _ listener: Listener, _ exports: [String: PageServer.Export],
        _ secret: SharedSecret, _ options: PageServer.Options
    ) throws(ReactorError) {
        self.reactor = reactor
        self.listener = listener
        self.exports = exports
        self.secret = secret
        var options = options
        options.requestByteLimit = min(max(options.requestByteLimit, 4096), 1 << 30)
        options.windowByteCount = min(max(options.windowByteCount, options.requestByteLimit), 1 << 31)
        options.windowRequests = min(max(options.windowRequests, 1), 1 << 20)
        self.options = options
        if let shared = options.writers {
            writers = shared
        } else {
            writers = try WorkerPool(threads: 2, name: "page-server")
        }
    }

    /// Takes connections until the listener is closed.
    func acceptAll() async {
        while true {
            do throws(ReactorError) {
                let stream = try await listener.acceptDirectly()
                accept(stream)
            } catch {
                // A connection for which there was no memory is lost; the next one may be luckier.
                guard error.code == .system else { return }
            }
        }
    }

    private func accept(_ stream: DirectStream) {
        let wanted = connections.values.count { $0.phase != .refused }
        let handshakes = connections.values.count { $0.phase != .refused && !$0.isServing }
        // Who is refused is told why, as long as that costs little.
        guard !isClosing, connections.count - wanted < options.handshakeLimit,
            let connection = ServerConnection(self, stream)
        else { return stream.close() }
        connections[ObjectIdentifier(connection)] = connection
        if wanted >= options.connectionLimit || handshakes >= options.handshakeLimit {
            connection.refuse(
                .tooManyConnections,
                RemoteError(.busy, "the server has as many connections as it may have; raise its limits"))
        } else {
            connection.start()
        }
    }

    /// A connection is closed; `operations` of it go on in the store.
    func closed(_ connection: ServerConnection, operations: Int) {
        connections[ObjectIdentifier(connection)] = nil
        if let client = connection.client {
            if current[client] === connection { current[client] = nil }
            if operations > 0 { draining[client, default: 0] += operations }
        }
        endIfDone()
    }

    /// An operation of a closed connection has ended.
    func drained(_ client: Client?) {
        if let client, let rest = draining[client] {
            draining[client] = rest > 1 ? rest - 1 : nil
            if rest == 1 { current[client]?.welcome() }
        }
        endIfDone()
    }

    /// A client has proved itself. What is left of its former connections goes first: a write that was sent again must not be
    /// overtaken by its first sending.
    func admit(_ connection: ServerConnection, _ client: Client) {
        current[client]?.close()
        current[client] = connection
        if draining[client] == nil { connection.welcome() }
    }

    // MARK: Ending

    func shutdown(within deadline: Duration) async {
        await listener.close()
        await reactor.suspend { parked in
            let box = ShutdownWaiter(parked: parked)
            reactor.execute { self.beginShutdown(within: deadline, box.parked) }
        }
    }

    private func beginShutdown(within limit: Duration, _ waiter: Parked<Void>) {
        shutdownWaiters.append(waiter)
        isClosing = true
        if limit <= .zero {
            closeConnections()
        } else if deadline == .none {
            deadline = reactor.startTimer(after: limit, self)
            for connection in Array(connections.values) { connection.finish() }
        }
        endIfDone()
    }

    /// Ends everything as a kill would.
    func close() {
        isClosing = true
        closeConnections()
        Task(executorPreference: reactor) { [listener] in await listener.close() }
    }

    private func closeConnections() {
        for connection in Array(connections.values) { connection.close() }
    }

    private func endIfDone() {
        guard isClosing, connections.isEmpty, statistics.operations == 0 else { return }
        reactor.cancelTimer(deadline)
        for waiter in shutdownWaiters { waiter.resume(()) }
        shutdownWaiters = []
    }

    var currentStatistics: PageServer.Statistics {
        var current = statistics
        current.connections = connections.values.count { $0.phase != .refused }
        return current
    }
}

extension ServerCore: TimerHandler {
    func timerFired(_ id: TimerID) { closeConnections() }
}

/// Carries the waiting task to the loop.
private struct ShutdownWaiter: Sendable {
    let parked: Parked<Void>
}

/// Page-aligned memory for requests under way, used again. Loop thread only.
final class MemoryPool {
    private var free: [Int: [PageMemory]] = [:]
    private var freeByteCount = 0
    private let limit = 8 << 20

    /// Memory of at least so many bytes; what is in it is undefined.
    func take(_ byteCount: Int) throws(SystemFailure) -> PageMemory {
        let size = Self.size(byteCount)
        if let memory = free[size]?.popLast() {
            freeByteCount -= size
            return memory
        }
        return try PageMemory(byteCount: size)
    }

    /// Takes memory back that nobody else knows of.
    func recycle(_ memory: PageMemory) {
        guard freeByteCount + memory.byteCount <= limit else { return }
        free[memory.byteCount, default: []].append(memory)
        freeByteCount += memory.byteCount
    }

    private static func size(_ byteCount: Int) -> Int {
        var size = 4096
        while size < byteCount { size *= 2 }
        return size
    }
}
