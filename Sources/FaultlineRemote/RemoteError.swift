public import EventReactor

/// What went wrong between a store and its page server, and what to do about it.
///
/// What goes wrong in the server's own store comes as a `StoreError`, as if the store were here.
public struct RemoteError: Error, Sendable, CustomStringConvertible {
    /// The kinds of error. More may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        enum Value: Hashable, Sendable {
            case badSecret, badName, unreachable, timedOut, wrongSecret, noCommonVersion, unknownExport, busy
            case protocolViolation, storeChanged, disconnected, notReplayed, closed, cancelled, system
        }
        let value: Value

        /// The secret has too few bytes.
        public static let badSecret = Code(value: .badSecret)
        /// The name of an export is empty or too long, or there are none.
        public static let badName = Code(value: .badName)
        /// The connection could not be made, or broke: ``RemoteError/reactorError`` says why.
        public static let unreachable = Code(value: .unreachable)
        /// The server did not answer in time.
        public static let timedOut = Code(value: .timedOut)
        /// The ends do not have the same secret.
        public static let wrongSecret = Code(value: .wrongSecret)
        /// The ends have no version of the protocol in common.
        public static let noCommonVersion = Code(value: .noCommonVersion)
        /// The server has no store of this name.
        public static let unknownExport = Code(value: .unknownExport)
        /// The server has as many connections as it may have, or is shutting down.
        public static let busy = Code(value: .busy)
        /// The peer sent what it may not send; the connection was closed.
        public static let protocolViolation = Code(value: .protocolViolation)
        /// The server came back with a store of another length, or one that cannot be written any more.
        public static let storeChanged = Code(value: .storeChanged)
        /// The server has been away for longer than ``RemoteStore/Options/patience``.
        public static let disconnected = Code(value: .disconnected)
        /// The server came back without what was written last, and it could not be written again.
        public static let notReplayed = Code(value: .notReplayed)
        /// The store was closed by the program.
        public static let closed = Code(value: .closed)
        /// The task was cancelled.
        public static let cancelled = Code(value: .cancelled)
        /// There is no memory, or no thread.
        public static let system = Code(value: .system)

        /// The name of the code.
        public var description: String { "\(value)" }
    }

    /// The kind of error.
    public let code: Code
    /// What the reactor said, where it was its error.
    public let reactorError: ReactorError?
    private let detail: String

    init(_ code: Code, _ detail: String, reactorError: ReactorError? = nil) {
        self.code = code
        self.detail = detail
        self.reactorError = reactorError
    }

    init(_ error: ReactorError) {
        switch error.code {
        case .cancelled: self.init(.cancelled, "the task was cancelled", reactorError: error)
        case .shutDown: self.init(.closed, "the reactor is shut down", reactorError: error)
        default: self.init(.unreachable, "\(error)", reactorError: error)
        }
    }

    init(_ error: FrameError) {
        self.init(.protocolViolation, "\(error); the connection was closed")
    }

    static func cancelled() -> RemoteError { RemoteError(.cancelled, "the task was cancelled") }
    static func closed() -> RemoteError { RemoteError(.closed, "the store was closed; connect a new one") }

    /// A sentence that says what happened and what to do.
    public var description: String { detail }
}
