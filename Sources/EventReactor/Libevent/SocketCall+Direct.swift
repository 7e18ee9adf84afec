import Glibc

// What streams need that have no buffer of libevent's.
extension SocketCall {
    /// Receives what there is, as much as fits.
    ///
    /// - Returns: bytes received, 0 at the end of the stream, or a negative errno.
    static func receive(_ descriptor: CInt, into bytes: inout OutputRawSpan) -> Int {
        unsafe bytes.withUnsafeMutableBytes { buffer, count in
            guard let start = buffer.baseAddress else { return 0 }
            let received = unsafe Glibc.recv(descriptor, start + count, buffer.count - count, 0)
            guard received >= 0 else { return -Int(errno) }
            count += received
            return received
        }
    }

    /// What became of a connect(2) that was in progress (`SO_ERROR`); nil if it succeeded.
    static func pendingError(_ descriptor: CInt) -> ReactorError? {
        guard let status = option(descriptor, SOL_SOCKET, SO_ERROR) else {
            return ReactorError(socket: "getsockopt", errno)
        }
        return status == 0 ? nil : ReactorError(socket: "connect", status)
    }
}
