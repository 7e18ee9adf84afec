/// What a UNIX-domain socket carries; see unix(7).
public enum SocketKind: Hashable, Sendable {
    /// A stream of bytes, of which one reading takes any part (`SOCK_STREAM`).
    case stream
    /// Messages whose bounds are kept, in order (`SOCK_SEQPACKET`).
    case sequencedPackets
}
