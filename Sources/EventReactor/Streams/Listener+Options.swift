extension Listener {
    /// Who was refused by ``Options/peerPolicy``.
    public struct Refusal: Hashable, Sendable {
        /// The peer; nil if the kernel did not tell who it was.
        public var credentials: PeerCredentials?
    }

    /// How a listener behaves.
    public struct Options: Sendable {
        /// What the sockets carry. Sequenced packets are for UNIX-domain sockets, and for
        /// ``Listener/acceptMessages(_:isolation:)``.
        public var kind = SocketKind.stream
        /// Who may connect; nil: everybody. UNIX-domain sockets only. Asked when a connection is accepted; whoever is refused
        /// finds it closed, and nothing of what was sent is read.
        public var peerPolicy: PeerPolicy?
        /// Told of each peer that was refused, on the reactor's thread: it must not block. See also
        /// ``Listener/refusedPeers()``.
        public var onRefusal: (@Sendable (Refusal) -> Void)?
        /// Connections that the kernel completes and keeps until they are accepted (`listen(2)`).
        public var backlog = 128
        /// Whether to bind to a port on which connections of a former listener linger (`SO_REUSEADDR`).
        public var reusesAddress = true
        /// Whether several sockets may listen on the port, among which the kernel spreads connections
        /// (`SO_REUSEPORT`): one listener per reactor. TCP only.
        public var sharesPort = false
        /// Whether to remove a UNIX socket's file that a former listener left behind. It is removed only if it is
        /// a socket and nobody answers there.
        public var removesStaleFile = true
        /// Connections accepted in one turn, so that a burst leaves the others their time.
        public var acceptedPerTurn = 32
        /// Connections that are accepted and wait for ``Listener/accept(isolation:)``. At this mark accepting stops
        /// until half of them are taken, and the kernel's backlog fills up.
        public var pendingLimit = 64
        /// What the connections are made with.
        public var connections = Connection.Options()
        /// Told of each failure to accept, on the reactor's thread; usually that descriptors have run out
        /// (`EMFILE`). The listener tries again by itself, after 10 ms at first and up to a second later.
        public var onFailure: (@Sendable (ReactorError) -> Void)?

        /// The defaults.
        public init() {}
    }
}
