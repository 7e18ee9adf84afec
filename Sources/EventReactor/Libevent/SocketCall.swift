import CLibevent
import Glibc

/// The system calls on sockets, one line each where possible.
enum SocketCall {
    /// The kinds of failure that programs tell apart.
    static func code(of systemError: CInt) -> ReactorError.Code? {
        switch systemError {
        case ECONNREFUSED: .connectionRefused
        // A UNIX socket whose file is gone is `ENOENT`, and stays so: that is not the same as nobody listening.
        case ECONNRESET, ECONNABORTED: .connectionReset
        case EPIPE: .brokenPipe
        case ETIMEDOUT: .timedOut
        case EADDRINUSE: .addressInUse
        case EBADF: .badDescriptor
        case EMSGSIZE: .messageTooLong
        case ETOOMANYREFS: .tooManyDescriptors
        default: nil
        }
    }

    /// A socket for `address`: non-blocking, closed on exec.
    static func make(for address: SocketAddress, _ kind: SocketKind = .stream) throws(ReactorError) -> CInt {
        let domain =
            switch address {
            case .ipv4: AF_INET
            case .ipv6: AF_INET6
            case .unix: AF_UNIX
            }
        let type = number(of: kind) | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue
        let descriptor = socket(domain, CInt(type), 0)
        guard descriptor >= 0 else { throw ReactorError(socket: "socket", errno) }
        return descriptor
    }

    private static func number(of kind: SocketKind) -> UInt32 {
        kind == .stream ? SOCK_STREAM.rawValue : SOCK_SEQPACKET.rawValue
    }

    private static func makeNonBlocking(_ descriptor: CInt) throws(ReactorError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0,
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0
        else { throw ReactorError(socket: "fcntl", errno) }
    }

    /// Makes a UNIX-domain socket that came from elsewhere non-blocking and closed on exec, and has it deliver no other
    /// control data than descriptors.
    static func adoptLocal(_ descriptor: CInt) throws(ReactorError) -> SocketKind {
        let kind: SocketKind
        switch option(descriptor, SOL_SOCKET, SO_TYPE) {
        case CInt(SOCK_STREAM.rawValue): kind = .stream
        case CInt(SOCK_SEQPACKET.rawValue): kind = .sequencedPackets
        case nil: throw ReactorError(socket: "getsockopt", errno)
        default: throw ReactorError(.wrongSocketKind)
        }
        guard option(descriptor, SOL_SOCKET, SO_DOMAIN) == AF_UNIX else { throw ReactorError(.notLocal) }
        try makeNonBlocking(descriptor)
        // The last is SO_PASSPIDFD (6.5), which would deliver descriptors that nobody asked for.
        for name in [SO_PASSCRED, SO_PASSSEC, 76] { set(descriptor, SOL_SOCKET, name, 0) }
        return kind
    }

    /// Makes a stream socket that came from elsewhere non-blocking and closed on exec.
    static func adopt(_ descriptor: CInt) throws(ReactorError) {
        try makeNonBlocking(descriptor)
        guard option(descriptor, SOL_SOCKET, SO_TYPE) == CInt(SOCK_STREAM.rawValue) else {
            throw ReactorError(.unsupportedDescriptor, "getsockopt", systemError: errno)
        }
    }

    static func bind(_ descriptor: CInt, to address: SocketAddress) throws(ReactorError) {
        let status = try unsafe address.withNative { unsafe Glibc.bind(descriptor, $0, $1) == 0 ? 0 : errno }
        guard status == 0 else { throw ReactorError(socket: "bind", status) }
    }

    /// Begins to connect.
    ///
    /// - Returns: 0 when connected, `EINPROGRESS`, `EAGAIN` (UNIX sockets: the listener's backlog is full), or another errno.
    static func connect(_ descriptor: CInt, to address: SocketAddress) throws(ReactorError) -> CInt {
        try unsafe address.withNative { unsafe Glibc.connect(descriptor, $0, $1) == 0 ? 0 : errno }
    }

    static let isInProgress = EINPROGRESS
    static let isFull = EAGAIN
    static let wasInterrupted = EINTR

    static func localAddress(_ descriptor: CInt) throws(ReactorError) -> SocketAddress {
        try unsafe SocketAddress("getsockname") { unsafe getsockname(descriptor, $0, $1) }
    }

    static func peerAddress(_ descriptor: CInt) throws(ReactorError) -> SocketAddress {
        try unsafe SocketAddress("getpeername") { unsafe getpeername(descriptor, $0, $1) }
    }

    /// Who is at the other end; `nil` unless it is a UNIX-domain socket.
    static func peerCredentials(_ descriptor: CInt) -> PeerCredentials? {
        guard option(descriptor, SOL_SOCKET, SO_DOMAIN) == AF_UNIX else { return nil }
        // struct ucred, which is hidden behind _GNU_SOURCE: three numbers of 32 bits.
        var credentials: (Int32, UInt32, UInt32) = (0, 0, 0)
        var size = socklen_t(12)
        guard unsafe getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else {
            return nil
        }
        return PeerCredentials(
            processID: credentials.0, userID: credentials.1, groupID: credentials.2,
            supplementaryGroupIDs: peerGroups(descriptor))
    }

    /// `SO_PEERGROUPS` (4.13).
    private static func peerGroups(_ descriptor: CInt) -> [UInt32] {
        var capacity = 32
        // The kernel's limit is 65536; nobody's groups change after the connecting, so that the second call succeeds.
        while capacity <= 65_536 {
            var size = socklen_t(capacity * 4)
            var status: CInt = 0
            let groups = unsafe [UInt32](unsafeUninitializedCapacity: capacity) { buffer, count in
                let answer = unsafe getsockopt(descriptor, SOL_SOCKET, 59, buffer.baseAddress, &size)
                status = answer == 0 ? 0 : errno
                count = status == 0 ? Int(size) / 4 : 0
            }
            if status == 0 { return groups }
            guard status == ERANGE, Int(size) / 4 > capacity else { return [] }
            capacity = Int(size) / 4
        }
        return []
    }

    @discardableResult
    static func set(_ descriptor: CInt, _ level: CInt, _ name: CInt, _ value: CInt) -> Bool {
        var value = value
        return unsafe setsockopt(descriptor, level, name, &value, 4) == 0
    }

    static func option(_ descriptor: CInt, _ level: CInt, _ name: CInt) -> CInt? {
        var value: CInt = 0
        var size = socklen_t(4)
        return unsafe getsockopt(descriptor, level, name, &value, &size) == 0 ? value : nil
    }

    /// Options of a TCP connection; on other sockets they fail, without harm.
    static func configure(_ descriptor: CInt, _ options: Connection.Options) {
        if options.sendsAtOnce { set(descriptor, CInt(IPPROTO_TCP), TCP_NODELAY, 1) }
        if let idle = options.keepAliveAfter {
            let seconds = CInt(clamping: max(1, idle.components.seconds))
            set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1)
            set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPIDLE, min(seconds, 32767))
            set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPINTVL, max(1, min(seconds / 4, 32767)))
            set(descriptor, CInt(IPPROTO_TCP), TCP_KEEPCNT, 4)
        }
    }

    static func reuseAddress(_ descriptor: CInt) { set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) }

    static func useOnlyIPv6(_ descriptor: CInt) { set(descriptor, CInt(IPPROTO_IPV6), IPV6_V6ONLY, 1) }

    /// Sends what the socket takes at once. Never raises SIGPIPE, whatever the thread's mask is.
    ///
    /// - Returns: bytes sent, or a negative errno.
    static func send(_ descriptor: CInt, _ bytes: RawSpan, from offset: Int, atMost limit: Int) -> Int {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            let sent = unsafe Glibc.send(
                descriptor, start + offset, min(buffer.count - offset, limit), CInt(MSG_NOSIGNAL))
            return sent >= 0 ? sent : -Int(errno)
        }
    }

    static func isTemporary(_ systemError: CInt) -> Bool {
        systemError == EAGAIN || systemError == EINTR
    }

    /// Tells the peer that nothing more comes.
    static func finishWriting(_ descriptor: CInt) -> CInt {
        shutdown(descriptor, CInt(SHUT_WR)) == 0 ? 0 : errno
    }

    static func close(_ descriptor: CInt) { _ = Glibc.close(descriptor) }

    static func duplicate(_ descriptor: CInt) throws(ReactorError) -> CInt {
        let made = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard made >= 0 else { throw ReactorError(socket: "fcntl", errno) }
        return made
    }
}
