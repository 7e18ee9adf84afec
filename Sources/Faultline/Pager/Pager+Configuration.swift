extension Pager {
    /// Choices for one pager.
    public struct Configuration: Sendable {
        /// A name for messages and reports.
        public var name: String
        /// When waiting threads are let go.
        public var wakePolicy: WakePolicy
        /// How many messages one `read` takes at most.
        public var messagesPerRead: Int
        /// How many times a turn reads before sockets and timers get theirs.
        public var readsPerTurn: Int
        /// Whether requests tell the thread that waits (`UFFD_FEATURE_THREAD_ID`).
        public var reportsThreadIDs: Bool
        /// Told of every failure to supply pages. Runs on the reactor's thread: it must not block, nor touch a
        /// registered page, nor write to a pipe, file or terminal that a thread of the application may be writing a
        /// registered page to.
        public var onFailure: (@Sendable (FaultFailure) -> Void)?

        /// A configuration with defaults.
        public init(
            name: String = "pager", wakePolicy: WakePolicy = .adaptive, messagesPerRead: Int = 64,
            readsPerTurn: Int = 4, reportsThreadIDs: Bool = false,
            onFailure: (@Sendable (FaultFailure) -> Void)? = nil
        ) {
            self.name = name
            self.wakePolicy = wakePolicy
            self.messagesPerRead = max(messagesPerRead, 1)
            self.readsPerTurn = max(readsPerTurn, 1)
            self.reportsThreadIDs = reportsThreadIDs
            self.onFailure = onFailure
        }
    }
}
