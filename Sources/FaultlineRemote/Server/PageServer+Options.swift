public import EventReactor
public import Faultline

extension PageServer {
    /// A store that clients may use.
    public struct Export: Sendable {
        /// Where pages come from and go to.
        public var store: any PageStore
        /// Whether nobody may write.
        public var isReadOnly: Bool

        /// - Parameters:
        ///   - store: where pages come from and go to. What is flushed must survive the server's end; what is not is written
        ///     again by the clients. It must not be changed by anybody else meanwhile: one client at a time may write it, or
        ///     several that keep out of each other's way.
        ///   - isReadOnly: whether nobody may write.
        public init(_ store: any PageStore, isReadOnly: Bool = false) {
            self.store = store
            self.isReadOnly = isReadOnly
        }
    }

    /// Limits on what clients may ask for, and how long they may take.
    public struct Options: Sendable {
        /// Connections at a time, those included that have not proved anything yet. The next ones are refused.
        public var connectionLimit = 64
        /// Connections at a time that have not proved that they know the secret.
        public var handshakeLimit = 16
        /// How long a handshake may take.
        public var handshakeTimeout = Duration.seconds(5)
        /// The most bytes that one request may read or write; at least 4096.
        public var requestByteLimit = 1 << 20
        /// Requests of one connection that may be under way. What comes beyond that is not received before others are done.
        public var windowRequests = 256
        /// Bytes of the requests of one connection that may be under way; at least ``requestByteLimit``.
        public var windowByteCount = 8 << 20
        /// A peer that takes none of its answers, or sends none of the rest of a frame, for so long is cut off.
        public var stallTimeout = Duration.seconds(30)
        /// Threads that write to the stores: writes may block, and may not keep reads waiting.
        public var writers: WorkerPool?
        /// What the listener is made with: who may connect to a UNIX-domain socket, for example.
        public var listener: Listener.Options
        /// Told of connections that were ended for a reason, on the reactor's thread: it must not block.
        public var onEvent: (@Sendable (Event) -> Void)?

        /// The defaults.
        public init() {
            listener = Listener.Options()
            listener.connections.keepAliveAfter = .seconds(30)
        }
    }

    /// What becomes of connections.
    public enum Event: Sendable {
        /// A client has proved that it knows the secret.
        case connected(export: String)
        /// Somebody was not let in.
        case refused(RemoteError)
        /// A connection was cut off for what its client did, or did not do.
        case cutOff(RemoteError)
        /// A client has gone, or has come back on a new connection.
        case disconnected
    }

    /// What a server has done so far.
    public struct Statistics: Hashable, Sendable {
        /// Connections that are open at present.
        public var connections = 0
        /// Clients that were let in.
        public var accepted = 0
        /// Connections that were not let in.
        public var refused = 0
        /// Connections that were cut off for what their clients did, or did not do.
        public var cutOff = 0
        /// Requests that were received.
        public var requests = 0
        /// Bytes that were read from the stores, zeroes that were not sent included.
        public var readByteCount = 0
        /// Bytes that were written to the stores.
        public var writtenByteCount = 0
        /// Requests that stores work on at present.
        public var operations = 0
    }
}
