public import EventReactor

extension RemoteStore {
    /// Choices for one store.
    public struct Options: Sendable {
        /// How long making a connection may take, the handshake included.
        public var connectTimeout = Duration.seconds(5)
        /// The pause before the second attempt to get back to a server that is gone; doubled for each further one, and then
        /// changed at random by up to a quarter, so that the clients of a server do not come all at once.
        public var firstPause = Duration.milliseconds(10)
        /// The longest such pause.
        public var longestPause = Duration.seconds(2)
        /// How long calls wait for a server that is gone before they fail with ``RemoteError/Code/disconnected``; nil for as
        /// long as it takes. The attempts go on in any case.
        public var patience: Duration?
        /// After so long a silence the server is asked for a sign of life; after as long again it counts as gone.
        public var keepAlive = Duration.seconds(5)
        /// Reads of no more bytes than this go before everything else: somebody waits for them. Larger ones, and writes, are
        /// bulk.
        public var urgentByteCount = 64 << 10
        /// Bulk requests are cut into parts of at most so many bytes, behind which an urgent one may have to wait. A power of
        /// two, at least a page.
        public var partByteCount = 128 << 10
        /// Bytes of bulk requests that may be under way.
        public var bulkByteCount = 1 << 20
        /// Bytes of requests that may be under way in all, if the server allows as many.
        public var windowByteCount = 8 << 20
        /// Bytes that were written and are kept because they are not known to be durable. At half of it the store has the
        /// server flush by itself; at all of it writes wait. At least 1 MiB.
        public var unflushedByteLimit = 64 << 20
        /// What the connection is made with.
        public var connection: Connection.Options
        /// Told of what becomes of the connection, on the reactor's thread: it must not block.
        public var onEvent: (@Sendable (Event) -> Void)?

        /// The defaults.
        public init() {
            connection = Connection.Options()
            connection.keepAliveAfter = .seconds(30)
        }
    }

    /// What becomes of a store's connection.
    public enum Event: Sendable {
        /// The server is there, and everything that was written is with it.
        case connected
        /// The connection broke, or could not be made; it is tried again after a pause.
        case disconnected(RemoteError, retryingAfter: Duration)
        /// The server came back as another instance, and writes that were not flushed are being written again.
        case replaying(byteCount: Int)
        /// The server has been away for longer than the store's patience: calls fail until it is back.
        case gaveUp
    }

    /// What a store has done so far.
    public struct Statistics: Hashable, Sendable {
        /// Connections that were made.
        public var connections = 0
        /// Requests that were sent, and sent again.
        public var requests = 0
        /// Answers that came.
        public var answers = 0
        /// Bytes that were read.
        public var readByteCount = 0
        /// Bytes that the server has acknowledged.
        public var writtenByteCount = 0
        /// Bytes that were written again to a server that had come back as another instance.
        public var replayedByteCount = 0
        /// Bytes that were written and are not known to be durable at present.
        public var unflushedByteCount = 0
        /// Requests that wait to be sent, or for their answer, at present.
        public var pendingRequests = 0
        /// Whether the server is there at present.
        public var isConnected = false
    }
}
