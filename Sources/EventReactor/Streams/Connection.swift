import Synchronization

/// A connected stream socket: TCP or UNIX-domain.
///
/// Made by ``Reactor/connect(to:_:isolation:)``, by a ``Listener``, or from a socket that you have with
/// ``Reactor/adopt(socket:_:isolation:)``. Any thread and any task may call everything here; the work is done on
/// the reactor's thread. A task that runs there does not leave it, and a call that can be answered at once does not
/// suspend.
///
/// One task reads at a time; any number may write, and the bytes of each write stay together. A call of a cancelled
/// task throws `cancelled`, and the connection stays usable: nothing was read or written by that call. No SIGPIPE
/// is ever raised. The connection keeps its reactor alive, and letting go of the last reference closes it.
public final class Connection: Sendable {
    /// The reactor that serves the connection.
    public let reactor: Reactor
    /// Who is at the other end; `nil` unless it is a UNIX-domain socket.
    public let peerCredentials: PeerCredentials?
    let core: ConnectionCore

    init(_ reactor: Reactor, _ core: ConnectionCore, peerCredentials: PeerCredentials?) {
        self.reactor = reactor
        self.core = core
        self.peerCredentials = peerCredentials
    }

    deinit {
        let core = self.core
        if !core.isClosed.load(ordering: .relaxed) { core.loop.perform { core.close(.closed) } }
    }

    /// Closes the connection, and returns when its descriptor is closed. What was not sent yet is given up: call
    /// ``flush(isolation:)`` or ``finishWriting(isolation:)`` before. Tasks that wait are resumed with `closed`.
    /// Further calls have no effect (`close(2)`).
    public func close() async {
        let core = self.core
        await reactor.run { core.close(.closed) }
    }

    /// The address of this end (`getsockname(2)`).
    ///
    /// - Throws: `closed`, `shutDown`, `system`.
    public var localAddress: SocketAddress {
        get async throws(ReactorError) {
            let core = self.core
            return try await reactor.run { () throws(ReactorError) in
                if let error = core.closedBecause { throw error }
                return try SocketCall.localAddress(core.descriptor)
            }
        }
    }

    /// The address of the other end (`getpeername(2)`).
    ///
    /// - Throws: `closed`, `shutDown`, `system`.
    public var peerAddress: SocketAddress {
        get async throws(ReactorError) {
            let core = self.core
            return try await reactor.run { () throws(ReactorError) in
                if let error = core.closedBecause { throw error }
                return try SocketCall.peerAddress(core.descriptor)
            }
        }
    }

    /// How much is buffered at present; zero once closed.
    public func bufferedBytes() async -> BufferedBytes {
        let core = self.core
        return await reactor.run {
            BufferedBytes(input: core.stream?.inputCount ?? 0, output: core.outputCount)
        }
    }
}
