extension ReactorError.Code {
    /// A message is longer than the receiver's limit (`MSG_TRUNC`) or than the socket can send (`EMSGSIZE`).
    public static let messageTooLong = Self(kind: .messageTooLong)
    /// More descriptors came than the receiver allows or has room for (`MSG_CTRUNC`), or more are to be sent than one message
    /// carries or than may be under way (`ETOOMANYREFS`).
    public static let tooManyDescriptors = Self(kind: .tooManyDescriptors)
    /// A stream carries descriptors only along with bytes.
    public static let emptyMessage = Self(kind: .emptyMessage)
    /// Descriptors, and the peer's credentials, come over UNIX-domain sockets only.
    public static let notLocal = Self(kind: .notLocal)
    /// The socket is of the other kind than the call is for.
    public static let wrongSocketKind = Self(kind: .wrongSocketKind)
    /// The process is gone, or this one cannot see it (`ESRCH`).
    public static let noSuchProcess = Self(kind: .noSuchProcess)
}

extension ReactorError {
    /// The sentences for messages and processes; nil for other kinds.
    var messageDescription: String? {
        let reason = systemError == 0 ? "" : ": \(describeSystemError(systemError))"
        return switch code.kind {
        case .messageTooLong:
            "The message is longer than the limit; what was received of it is lost. Send less at once, or allow more."
        case .tooManyDescriptors:
            "The message has more descriptors than are allowed\(reason); what was received of it is lost and closed. "
                + "Allow more, or raise the limit on open files (ulimit -n)."
        case .emptyMessage: "Over a stream, descriptors go along with bytes; send at least one."
        case .notLocal: "Only UNIX-domain sockets pass descriptors and tell who the peer is; use one."
        case .wrongSocketKind:
            "The socket is of the wrong kind: connections are streams, messages go over streams or sequenced packets "
                + "of the UNIX domain."
        case .noSuchProcess:
            "The process is gone, or is not visible from this one; nothing can be done for it any more."
        default: nil
        }
    }
}
