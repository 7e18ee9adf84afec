import Synchronization

/// A connected UNIX-domain socket over which messages go, with descriptors if need be (`SCM_RIGHTS`, unix(7)).
///
/// Made by ``Reactor/connectMessages(to:kind:_:isolation:)``, by a ``Listener``, or from a socket that you have with
/// ``Reactor/adopt(messageSocket:_:isolation:)``. It may be a stream or carry sequenced packets. Nothing is read ahead:
/// what the program has not received stays in the kernel, which holds the peer back.
///
/// ```swift
/// let socket = try await listener.acceptMessages()
/// while let message = try await socket.receive(upTo: 4096, descriptors: 1) {
///     // message.bytes, message.descriptors
/// }
/// ```
///
/// Any thread and any task may call everything here; the work is done on the reactor's thread and never blocks it. One
/// task receives at a time; any number may send, and their messages stay whole. A call of a cancelled task throws
/// `cancelled`, and nothing was received or sent by it. The socket keeps its reactor alive, and letting go of the last
/// reference closes it.
public final class MessageSocket: Sendable {
    /// The reactor that serves the socket.
    public let reactor: Reactor
    /// What it carries.
    public let kind: SocketKind
    /// Who was at the other end when the two were connected.
    public let peerCredentials: PeerCredentials?
    let core: MessageCore

    init(_ reactor: Reactor, _ core: MessageCore) {
        self.reactor = reactor
        self.core = core
        kind = core.kind
        peerCredentials = SocketCall.peerCredentials(core.descriptor)
    }

    deinit {
        let core = self.core
        if !core.isClosed.load(ordering: .relaxed) { core.loop.perform { core.close(.closed) } }
    }

    /// Closes the socket, and returns when its descriptor is closed. Tasks that wait are resumed with `closed`; what they
    /// were to send may have gone in part. Further calls have no effect (`close(2)`).
    public func close() async {
        let core = self.core
        await reactor.run { core.close(.closed) }
    }

    /// Tells the peer that nothing more comes. Messages that wait to be sent go before. Further sending throws `closed`;
    /// receiving goes on (`shutdown(2)` with `SHUT_WR`). Does not wait for the messages.
    public func finishSending() async {
        let core = self.core
        await reactor.run { core.finishSending() }
    }
}
