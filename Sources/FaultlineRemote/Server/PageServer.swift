public import EventReactor

/// Serves the pages of stores to ``RemoteStore``s in other processes, over TCP or UNIX-domain sockets.
///
/// ```swift
/// let server = try await PageServer.start(
///     on: reactor, at: .ipv4("127.0.0.1", port: 7070),
///     exports: ["memory": .init(try FileStore(path: path))], secret: secret)
/// ```
///
/// Nobody is let in who does not know the secret. Whatever a peer sends, the server neither traps nor takes more memory than its
/// ``Options`` allow: a bad frame ends its connection, a bad request gets an error. What a store has at hand is answered on the
/// reactor's thread, in the turn in which it was asked for.
///
/// Any thread may use it. Letting go of the last reference closes it as a kill would; see ``shutdown(within:)``.
public final class PageServer: Sendable {
    private let core: ServerCore
    /// Where it listens; with the real port if it was asked for port 0.
    public let address: SocketAddress
    /// The reactor that serves the connections.
    public var reactor: Reactor { core.reactor }

    private init(_ core: ServerCore, _ address: SocketAddress) {
        self.core = core
        self.address = address
    }

    deinit { core.reactor.execute { [core] in core.close() } }

    /// Listens, and serves whoever comes. Any thread; goes to the reactor's thread and back.
    ///
    /// - Parameters:
    ///   - reactor: serves the connections.
    ///   - address: where to listen. On TCP, the loopback address keeps other machines out.
    ///   - exports: the stores, by the names that clients ask for.
    ///   - secret: what clients have to know.
    ///   - options: limits.
    /// - Throws: ``RemoteError`` when the address is taken, a name is unfit, or the reactor is shut down.
    public static func start(
        on reactor: Reactor, at address: SocketAddress, exports: [String: Export], secret: SharedSecret,
        options: Options = Options()
    ) async throws(RemoteError) -> PageServer {
        for name in exports.keys where !(1...Hello.longestName).contains(name.utf8.count) {
            throw RemoteError(
                .badName, "the name of a store has 1 to \(Hello.longestName) bytes, not \(name.utf8.count)")
        }
        do throws(ReactorError) {
            let listener = try await reactor.listen(on: address, options.listener)
            let core = try ServerCore(reactor, listener, exports, secret, options)
            Task(executorPreference: reactor) { await core.acceptAll() }
            return PageServer(core, listener.address)
        } catch {
            throw RemoteError(error)
        }
    }

    /// Stops listening and receiving, answers what was received, and returns when no store is worked on any more; or, what
    /// the connections concern, when the time is up. Clients wait for another server then. Any thread; further calls have no
    /// effect.
    ///
    /// - Parameter deadline: how long answers may take; with `.zero` connections end at once, as after a kill.
    public func shutdown(within deadline: Duration = .seconds(5)) async {
        await core.shutdown(within: deadline)
    }

    /// The counters so far. Any thread; goes to the reactor's thread and back.
    public func statistics() async -> Statistics {
        await reactor.run { [core] in core.currentStatistics }
    }
}
