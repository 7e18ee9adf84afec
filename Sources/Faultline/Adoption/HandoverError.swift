import EventReactor

/// Why memory was not handed over, or not taken.
public struct HandoverError: Error, Sendable, CustomStringConvertible {
    /// The kinds of error. More may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        enum Value: Hashable, Sendable {
            case notPermitted, timedOut, ended, tooLong, malformed, noDescriptor, tooManyDescriptors
            case badDescriptor, tooMuch, processExited, refused, alreadyTaken, socket
        }
        let value: Value

        /// The policy does not permit this peer.
        public static let notPermitted = Code(value: .notPermitted)
        /// The peer did not say in time what it hands over.
        public static let timedOut = Code(value: .timedOut)
        /// The peer closed the socket before all was there.
        public static let ended = Code(value: .ended)
        /// The peer sent more than a description may take.
        public static let tooLong = Code(value: .tooLong)
        /// What the peer sent is no description: ``HandoverError/underlyingError`` says why.
        public static let malformed = Code(value: .malformed)
        /// The peer sent no descriptor with its description.
        public static let noDescriptor = Code(value: .noDescriptor)
        /// The peer sent more descriptors than allowed.
        public static let tooManyDescriptors = Code(value: .tooManyDescriptors)
        /// The descriptor is no userfaultfd, or was never enabled.
        public static let badDescriptor = Code(value: .badDescriptor)
        /// The peer hands over more than allowed.
        public static let tooMuch = Code(value: .tooMuch)
        /// The process is gone.
        public static let processExited = Code(value: .processExited)
        /// The receiver did not take the memory. For the process that hands it over.
        public static let refused = Code(value: .refused)
        /// The memory was taken into service, or refused, before.
        public static let alreadyTaken = Code(value: .alreadyTaken)
        /// The socket failed, or the reactor was shut down: ``HandoverError/underlyingError`` says why.
        public static let socket = Code(value: .socket)

        /// The name of the code.
        public var description: String { "\(value)" }
    }

    /// The kind of error.
    public let code: Code
    /// What it comes from: a ``MemoryDescriptionError``, an error of the decoder's own, a `UserfaultfdError` or a
    /// `ReactorError`; nil where there is nothing more to know.
    public let underlyingError: (any Error)?

    init(_ code: Code, _ underlyingError: (any Error)? = nil) {
        self.code = code
        self.underlyingError = underlyingError
    }

    init(_ error: ReactorError) {
        switch error.code {
        case .tooManyDescriptors: self.init(.tooManyDescriptors, error)
        case .messageTooLong: self.init(.tooLong, error)
        case .noSuchProcess: self.init(.processExited, error)
        case .connectionReset, .brokenPipe: self.init(.ended, error)
        default: self.init(.socket, error)
        }
    }

    /// A sentence that says what happened.
    public var description: String {
        let text =
            switch code.value {
            case .notPermitted: "the policy does not permit this peer to hand memory over"
            case .timedOut: "the peer did not say in time what it hands over"
            case .ended: "the peer closed the socket before the memory was handed over"
            case .tooLong: "the peer sent more than a description may take"
            case .malformed: "the peer sent what is no description of memory"
            case .noDescriptor: "the peer sent no descriptor along with its description"
            case .tooManyDescriptors: "the peer sent more descriptors than allowed"
            case .badDescriptor: "the peer sent a descriptor that is no enabled userfaultfd"
            case .tooMuch: "the peer hands over more memory than allowed"
            case .processExited: "the process that handed its memory over is gone"
            case .refused: "the receiver did not take the memory; its own log should say why"
            case .alreadyTaken: "this memory was taken into service, or refused, before"
            case .socket: "the socket failed"
            }
        return underlyingError.map { "\(text): \($0)" } ?? text
    }
}
