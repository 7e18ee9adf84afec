/// Who is at the other end of a UNIX-domain socket, as the kernel noted when it connected (`SO_PEERCRED`, unix(7)).
public struct PeerCredentials: Hashable, Sendable {
    /// The process; 0 if it is in a PID namespace that this process cannot see.
    public var processID: Int32
    /// Its effective user.
    public var userID: UInt32
    /// Its effective group.
    public var groupID: UInt32
}
