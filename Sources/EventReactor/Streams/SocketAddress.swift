/// Where a socket listens or connects to. Numeric only: no names are resolved, because that blocks.
///
/// The text is checked when the address is used. Addresses that come from the system are in their shortest form;
/// two that mean the same may be written differently and then are not equal.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// An address such as `127.0.0.1` and a port; port 0 lets the system choose when listening.
    case ipv4(_ host: String, port: UInt16)
    /// An address such as `::1`, without brackets and zone, and a port.
    case ipv6(_ host: String, port: UInt16)
    /// A UNIX-domain socket: a path of at most 107 bytes. A first byte of zero means a name in Linux's abstract
    /// namespace; an empty path is the address of a socket that has none, such as a client's.
    case unix(path: String)

    /// The port, unless it is a UNIX-domain socket.
    public var port: UInt16? {
        switch self {
        case .ipv4(_, let port), .ipv6(_, let port): port
        case .unix: nil
        }
    }

    /// As usually written: `127.0.0.1:80`, `[::1]:80`, or `unix:` and the path (`@` for the zero byte).
    public var description: String {
        switch self {
        case .ipv4(let host, let port): "\(host):\(port)"
        case .ipv6(let host, let port): "[\(host)]:\(port)"
        case .unix(let path): "unix:" + (path.utf8.first == 0 ? "@" + path.dropFirst() : path)
        }
    }
}
