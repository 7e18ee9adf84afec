extension MessageSocket {
    /// What came in one reading.
    public struct Message: Sendable {
        /// The bytes. Of a stream: any part of what was sent; it ends with what was sent along with the descriptors.
        public var bytes: [UInt8]
        /// The descriptors that came along, closed on exec. They close themselves with the message.
        public var descriptors: [OwnedDescriptor]
    }

    /// How a message socket behaves.
    public struct Options: Hashable, Sendable {
        /// Messages that are received, and that are sent, in one turn of the loop, so that a fast peer leaves the others
        /// their time.
        public var messagesPerTurn = 32
        /// What reports call it.
        public var name = "messages"

        /// The defaults.
        public init() {}
    }
}
