public import EventReactor
public import Faultline

/// A store in another process or on another machine, behind a ``PageServer``.
///
/// Requests are pipelined and answered out of order, those that a fault waits for before all others. When the connection breaks,
/// calls wait while it is made again; what was under way is asked for again. What was written and not flushed is kept here
/// until the server has made it durable, and is written again to a server that comes back as another instance: a server that is
/// killed loses nothing.
///
/// ```swift
/// let store = try await RemoteStore.connect(to: .ipv4("127.0.0.1", port: 7070), export: "memory", secret: secret, on: reactor)
/// let region = try await pager.map(store: store, budget: budget)
/// ```
///
/// Any thread may use it. The work is done on the reactor's thread, which may be that of the pager: nothing blocks it. The
/// connection is not encrypted: on a network that others can write to, put it into a tunnel.
public final class RemoteStore: PageStore {
    private let core: ClientCore
    /// The length in bytes, as the server has it.
    public let byteCount: Int
    /// Whether the server refuses writes.
    public let isReadOnly: Bool
    /// The reactor that serves the connection.
    public var reactor: Reactor { core.reactor }

    /// True: bytes are copied by the thread that calls ``write(_:)``, which the pager never does on a reactor's.
    public var writesFromRegions: Bool { true }

    private init(_ core: ClientCore, _ terms: Terms) {
        self.core = core
        byteCount = terms.byteCount
        isReadOnly = terms.isReadOnly
    }

    deinit { core.reactor.execute { [core] in core.close(RemoteError.closed()) } }

    /// Connects to a page server, proves to each other that both know the secret, and returns when the store can be used.
    /// Any thread; suspends the task. Tries once: a server that is not there is an error here, and waited for only later.
    ///
    /// - Parameters:
    ///   - address: where the server listens.
    ///   - export: the name of the store there.
    ///   - secret: what the server has as well.
    ///   - reactor: the reactor that serves the connection: the pager's, or any other.
    ///   - options: limits, pauses, and who is told of the connection's fate.
    /// - Throws: ``RemoteError``: nobody listens, the secret is another one, there is no such store, no time is left, or the
    ///   task is cancelled.
    public static func connect(
        to address: SocketAddress, export: String, secret: SharedSecret, on reactor: Reactor,
        options: Options = Options()
    ) async throws(RemoteError) -> RemoteStore {
        guard (1...Hello.longestName).contains(export.utf8.count) else {
            throw RemoteError(
                .badName, "the name of a store has 1 to \(Hello.longestName) bytes, not \(export.utf8.count)")
        }
        let core = try ClientCore(reactor, address, export: export, secret, options)
        return RemoteStore(core, try await core.connect())
    }

    /// Closes the connection. Calls that wait, and later ones, fail with ``RemoteError/Code/closed``. What was not flushed
    /// may be lost. Any thread; further calls have no effect.
    public func close() async {
        await reactor.run { [core] in core.close(RemoteError.closed()) }
    }

    /// The counters so far. Any thread; goes to the reactor's thread and back.
    public func statistics() async -> Statistics {
        await reactor.run { [core] in core.currentStatistics }
    }

    /// Reads from the server. Any thread; suspends until all is there, however long the server is away.
    ///
    /// - Throws: `StoreError` for what went wrong in the server's store; ``RemoteError`` when the store is closed, the task
    ///   cancelled, or the server away for longer than ``Options/patience``.
    public func read(_ pieces: [StoreRead]) async throws {
        try await core.perform(.read(pieces))
    }

    /// Copies the bytes, and suspends until the server has them. They are kept here until they are durable there. Any thread
    /// but a reactor's. A cancelled write may be done nevertheless.
    ///
    /// - Throws: as ``read(_:)``; and `StoreError` when a piece lies beyond the end or the store is read-only: nothing is
    ///   written then.
    public func write(_ pieces: [StoreWrite]) async throws {
        guard !pieces.isEmpty else { return }
        for piece in pieces { try checkWritable(piece.range) }
        if Task.isCancelled { throw RemoteError.cancelled() }
        let copy = try PageMemory(byteCount: pieces.reduce(0) { $0 + $1.byteCount })
        var position = 0
        for piece in pieces {
            copy.withMutableBytes(position..<position + piece.byteCount) { target in
                piece.withBytes { target.copy($0) }
            }
            position += piece.byteCount
        }
        try await core.perform(.write(copy, pieces.map(\.range)))
    }

    /// Has the server make everything durable that was written before. Any thread; suspends until that is so.
    ///
    /// - Throws: as ``read(_:)``. What was written since the last flush that succeeded is written again then, before the next
    ///   one.
    public func flush() async throws {
        try await core.perform(.flush)
    }

    /// Has the server give back the space of these bytes, which read as zero from then on. Any thread.
    ///
    /// - Throws: as ``write(_:)``.
    public func trim(_ ranges: [Range<Int>]) async throws {
        for range in ranges { try checkWritable(range) }
        guard !ranges.allSatisfy(\.isEmpty) else { return }
        try await core.perform(.trim(ranges))
    }

    private func checkWritable(_ range: Range<Int>) throws(StoreError) {
        guard !isReadOnly else {
            throw StoreError(
                .readOnly, "the page server does not let this store be written; export it writable",
                range: range)
        }
        guard range.lowerBound >= 0, range.upperBound <= byteCount else {
            throw StoreError(
                .outOfRange, "the store has \(byteCount) bytes; make it longer, or write less of it",
                range: range)
        }
    }
}
