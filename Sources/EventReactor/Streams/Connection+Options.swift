extension Connection {
    /// How a connection behaves.
    public struct Options: Hashable, Sendable {
        /// Bytes that are read ahead of the program. At this mark reading from the socket stops until the program has
        /// read, and the peer is held back. A read for more than this raises the mark for as long as it waits.
        public var inputLimit = 64 * 1024
        /// Bytes that wait to be sent. A write that finds this many waits until half of them are sent.
        public var outputLimit = 64 * 1024
        /// Bytes of one connection that are received in one turn, so that a fast peer leaves the others their
        /// time. libevent 2.1 never takes more than 4096.
        public var readPerTurn = 16 * 1024
        /// Bytes of one connection that are sent in one turn.
        public var writtenPerTurn = 256 * 1024
        /// Whether small pieces are sent without waiting for more (`TCP_NODELAY`, tcp(7)). TCP only.
        public var sendsAtOnce = true
        /// After how long a silence TCP asks whether the peer is still there (`SO_KEEPALIVE`); if it does not
        /// answer for as long again, the connection fails with `timedOut`. `nil`: a peer that vanished without a
        /// word is noticed only when something is sent to it. Whole seconds. TCP only.
        public var keepAliveAfter: Duration?

        /// The defaults.
        public init() {}
    }

    /// Bytes that a connection holds at a moment; see ``Connection/bufferedBytes()``.
    public struct BufferedBytes: Hashable, Sendable {
        /// Received, not read by the program yet.
        public var input: Int
        /// Written by the program, not taken by the kernel yet.
        public var output: Int
    }
}
