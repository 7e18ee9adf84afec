import Synchronization

/// A listening stream socket: TCP or UNIX-domain. Made by ``Reactor/listen(on:_:isolation:)``.
///
/// ```swift
/// let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
/// for await connection in listener.connections {
///     Task(executorPreference: reactor) { try await serve(connection) }
/// }
/// ```
///
/// Any thread and any task may call everything here. The listener keeps its reactor alive, and letting go of the
/// last reference closes it.
public final class Listener: Sendable {
    /// The reactor that serves the listener.
    public let reactor: Reactor
    /// Where it listens; with the real port if it was asked for port 0.
    public let address: SocketAddress
    let core: ListenerCore

    init(_ reactor: Reactor, _ core: ListenerCore, _ address: SocketAddress) {
        self.reactor = reactor
        self.core = core
        self.address = address
    }

    deinit {
        let core = self.core
        if !core.isClosed.load(ordering: .relaxed) { core.loop.perform { core.close(.closed) } }
    }

    /// Takes the oldest connection, and waits until there is one. Several tasks may wait; they are served in order.
    ///
    /// Shortages (`EMFILE`) do not end the waiting; see ``Options/onFailure``.
    ///
    /// - Throws: `closed`, `cancelled`, `shutDown`; `wrongSocketKind` if the listener's sockets carry packets; `system` if
    ///   there is no memory for the connection.
    public func accept(isolation: isolated (any Actor)? = #isolation) async throws(ReactorError) -> Connection
    {
        guard core.options.kind == .stream else { throw ReactorError(.wrongSocketKind) }
        guard case .connection(let connection) = try await take(.connection, isolation) else {
            throw ReactorError(.wrongSocketKind)
        }
        return connection
    }

    /// As ``accept(isolation:)``, for messages with descriptors. UNIX-domain listeners only.
    ///
    /// - Parameters:
    ///   - options: what the socket is made with.
    ///   - isolation: the caller's, filled in by the compiler.
    /// - Throws: `notLocal`, `closed`, `cancelled`, `shutDown`; `system` if there is no memory for the socket.
    public func acceptMessages(
        _ options: MessageSocket.Options = .init(), isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> MessageSocket {
        guard core.isLocal, case .messages(let socket) = try await take(.messages(options), isolation) else {
            throw ReactorError(.notLocal)
        }
        return socket
    }

    /// As ``accept(isolation:)``, for a stream without a buffer, on which nothing is received before it is started. On the
    /// reactor's thread only.
    package func acceptDirectly(
        isolation: isolated (any Actor)? = #isolation
    ) async throws(ReactorError) -> DirectStream {
        guard core.options.kind == .stream, case .direct(let stream) = try await take(.direct, isolation)
        else {
            throw ReactorError(.wrongSocketKind)
        }
        return stream
    }

    private func take(
        _ wanted: AcceptOperation.Wanted, _ isolation: isolated (any Actor)?
    ) async throws(ReactorError) -> AcceptOperation.Accepted {
        if core.loop.isOnLoop, !Task.isCancelled, let result = takeNow(wanted) { return try result.get() }
        return try await AcceptOperation(self, wanted).complete(isolation: isolation)
    }

    /// Stops listening, and returns when the descriptor is closed. Connections that nobody has taken are closed; a
    /// UNIX socket's file is removed. Tasks that wait are resumed with `closed`. Further calls have no effect.
    public func close() async {
        let core = self.core
        await reactor.run { core.close(.closed) }
    }

    /// Connections that are accepted and that nobody has taken yet.
    public func pendingConnections() async -> Int {
        let core = self.core
        return await reactor.run { core.pendingCount }
    }

    /// How often a connection could not be accepted so far; see ``Options/onFailure``.
    public func acceptFailures() async -> Int {
        let core = self.core
        return await reactor.run { core.failureCount }
    }

    /// How many peers ``Options/peerPolicy`` has refused so far.
    public func refusedPeers() async -> Int {
        let core = self.core
        return await reactor.run { core.refusalCount }
    }

    /// The connections, one after the other. Ends when the listener is closed, the task cancelled, or the reactor
    /// shut down.
    public var connections: Connections { Connections(listener: self) }

    /// See ``Listener/connections``.
    public struct Connections: AsyncSequence, AsyncIteratorProtocol, Sendable {
        fileprivate let listener: Listener

        /// Several iterators share the connections among them.
        public func makeAsyncIterator() -> Self { self }

        /// The next connection, or `nil` at the end.
        public mutating func next() async -> Connection? {
            await next(isolation: nil)
        }

        /// The next connection, or `nil` at the end.
        public mutating func next(isolation actor: isolated (any Actor)?) async -> Connection? {
            while true {
                do throws(ReactorError) {
                    return try await listener.accept(isolation: actor)
                } catch {
                    // A connection for which there was no memory is lost; the next one may be luckier.
                    guard error.code == .system else { return nil }
                }
            }
        }
    }
}

extension Listener {
    /// A socket, or the end, if there is one without waiting. Loop thread only.
    func takeNow(
        _ wanted: AcceptOperation.Wanted
    ) -> Result<AcceptOperation.Accepted, ReactorError>? {
        if let error = core.closedBecause { return .failure(error) }
        guard let descriptor = core.takePending() else { return nil }
        return make(wanted, of: descriptor)
    }

    /// Makes of an accepted socket what the caller wants. Loop thread only.
    func make(
        _ wanted: AcceptOperation.Wanted, of descriptor: CInt
    ) -> Result<AcceptOperation.Accepted, ReactorError> {
        do throws(ReactorError) {
            switch wanted {
            case .connection:
                let options = core.options.connections
                return .success(
                    .connection(try reactor.connection(descriptor, isLocal: core.isLocal, options)))
            case .messages(let options):
                return .success(
                    .messages(try reactor.messageSocket(descriptor, core.options.kind, options)))
            case .direct:
                let options = core.options.connections
                return .success(
                    .direct(try DirectStream(core.loop, descriptor, isConnecting: false, options)))
            }
        } catch {
            return .failure(error)
        }
    }
}
