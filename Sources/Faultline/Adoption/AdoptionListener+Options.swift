public import EventReactor

extension AdoptionListener {
    /// How a listener behaves.
    public struct Options: Sendable {
        /// Who may hand memory over: root and this process's own user, unless you say otherwise.
        public var peerPolicy = PeerPolicy.rootOrSameUser
        /// What the sockets carry.
        public var kind = SocketKind.stream
        /// How peers say what they hand over.
        public var format = HandoverFormat.standard
        /// How long a peer may take from connecting until all is there.
        public var timeout = Duration.seconds(5)
        /// How many peers are listened to at a time; more of them wait to be accepted. Those whose memory is in service do
        /// not count.
        public var peersAtOnce = 64
        /// The most bytes of a description.
        public var byteLimit = 64 * 1024
        /// The most descriptors of one peer; the first one is for its memory, the others are
        /// ``Adoption/otherDescriptors``.
        public var descriptorLimit = 1
        /// How much memory one peer may hand over.
        public var limits = MemoryDescription.Limits()
        /// Told of each peer that was refused, and why, on the reactor's thread: it must not block.
        public var onRefusal: (@Sendable (Refusal) -> Void)?

        /// The defaults.
        public init() {}
    }

    /// A peer that was refused.
    public struct Refusal: Sendable {
        /// Who it was; nil if the kernel did not tell.
        public var credentials: PeerCredentials?
        /// Why it was refused.
        public var error: HandoverError
    }
}
