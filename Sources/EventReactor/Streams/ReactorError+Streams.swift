extension ReactorError.Code {
    /// The connection, the listener or the stream was closed by this program; or its writing side was finished.
    public static let closed = Self(kind: .closed)
    /// The peer ended the stream before as many bytes had come as were asked for.
    public static let endOfStream = Self(kind: .endOfStream)
    /// Another task is reading from the connection at this moment.
    public static let busy = Self(kind: .busy)
    /// No line ended within the limit given.
    public static let lineTooLong = Self(kind: .lineTooLong)
    /// Nobody listens at the address (`ECONNREFUSED`).
    public static let connectionRefused = Self(kind: .connectionRefused)
    /// The peer aborted the connection, or its machine forgot it (`ECONNRESET`).
    public static let connectionReset = Self(kind: .connectionReset)
    /// The peer does not read any more (`EPIPE`).
    public static let brokenPipe = Self(kind: .brokenPipe)
    /// The peer did not answer in time (`ETIMEDOUT`).
    public static let timedOut = Self(kind: .timedOut)
    /// Another socket is bound to the address (`EADDRINUSE`).
    public static let addressInUse = Self(kind: .addressInUse)
    /// The text is no numeric address, or the path is too long for a socket (107 bytes).
    public static let badAddress = Self(kind: .badAddress)
    /// The number is no signal, or not one that can be waited for.
    public static let badSignal = Self(kind: .badSignal)
    /// Another event loop of this process receives signals already.
    public static let signalsInUse = Self(kind: .signalsInUse)
}

extension ReactorError {
    /// An error of a socket: the kinds that programs tell apart, or `system`.
    init(socket operation: String, _ systemError: CInt) {
        self.init(SocketCall.code(of: systemError) ?? .system, operation, systemError: systemError)
    }

    static let closed = ReactorError(.closed)

    var streamDescription: String {
        let place = operation.isEmpty ? "" : " (\(operation))"
        return switch code.kind {
        case .closed: "This end was closed by the program itself."
        case .endOfStream: "The peer ended the stream too early; what came before is still there to be read."
        case .busy: "Another task reads from this connection; let one task read at a time."
        case .lineTooLong: "The line is longer than the limit; what came is still there to be read."
        case .connectionRefused: "Nobody listens at this address\(place); start the server first."
        case .connectionReset: "The peer aborted the connection\(place)."
        case .brokenPipe: "The peer does not read from the connection any more\(place)."
        case .timedOut: "The peer did not answer in time\(place)."
        case .addressInUse: "Another socket is bound to this address\(place); close it or choose another."
        case .badAddress:
            "This is no numeric address, or a path of more than 107 bytes; names have to be resolved before."
        case .badSignal: "This number is no signal that a program can wait for."
        case .signalsInUse:
            "Another event loop of this process receives signals, and libevent serves only one; "
                + "ask for them all on the same reactor."
        default: "\(operation) failed: \(describeSystemError(systemError))."
        }
    }
}
