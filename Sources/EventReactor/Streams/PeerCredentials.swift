/// Who is at the other end of a UNIX-domain socket, as the kernel noted when it connected (`SO_PEERCRED`, unix(7)).
///
/// Of a `socketpair(2)` both ends have the credentials of the process that made it, whoever uses them now.
public struct PeerCredentials: Hashable, Sendable {
    /// The process; 0 if it is in a PID namespace that this process cannot see.
    public var processID: Int32
    /// Its effective user; 65534 (`/proc/sys/kernel/overflowuid`) also if it is one of a user namespace that has no
    /// number here.
    public var userID: UInt32
    /// Its effective group; see ``userID`` for 65534.
    public var groupID: UInt32
    /// Its other groups (`SO_PEERGROUPS`, 4.13).
    public var supplementaryGroupIDs: [UInt32]

    /// Makes credentials, to try a policy with.
    ///
    /// - Parameters:
    ///   - processID: the process.
    ///   - userID: its effective user.
    ///   - groupID: its effective group.
    ///   - supplementaryGroupIDs: its other groups.
    public init(processID: Int32, userID: UInt32, groupID: UInt32, supplementaryGroupIDs: [UInt32] = []) {
        self.processID = processID
        self.userID = userID
        self.groupID = groupID
        self.supplementaryGroupIDs = supplementaryGroupIDs
    }
}
