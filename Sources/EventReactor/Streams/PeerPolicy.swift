/// Who may connect to a UNIX-domain listener: asked once for each connection, before a byte of it is read.
///
/// ```swift
/// var options = Listener.Options()
/// options.peerPolicy = .rootOrSameUser
/// ```
///
/// The permissions of a socket's file are checked by the kernel before that, those of an abstract name are nobody's: there
/// the policy is all there is.
public struct PeerPolicy: Sendable {
    private let predicate: @Sendable (PeerCredentials) -> Bool

    /// A policy of your own.
    ///
    /// - Parameter predicate: says whether a peer may connect. Called on the reactor's thread: it must not block.
    public init(_ predicate: @escaping @Sendable (PeerCredentials) -> Bool) {
        self.predicate = predicate
    }

    /// Everybody.
    public static let anyone = PeerPolicy { _ in true }

    /// The effective user of this process, whoever that is when a peer connects (geteuid(2)). Other users are refused, root
    /// included.
    public static let sameUser = PeerPolicy { $0.userID == SystemCall.effectiveUser }

    /// The effective user of this process, and root.
    public static let rootOrSameUser = PeerPolicy { $0.userID == 0 || $0.userID == SystemCall.effectiveUser }

    /// Some users, and the members of some groups, supplementary ones included. 65534 stands for all the users and groups that
    /// have no number here: it is best left out.
    ///
    /// - Parameters:
    ///   - users: effective users.
    ///   - groups: effective or supplementary groups.
    public static func members(users: Set<UInt32> = [], groups: Set<UInt32> = []) -> PeerPolicy {
        PeerPolicy { peer in
            users.contains(peer.userID) || groups.contains(peer.groupID)
                || peer.supplementaryGroupIDs.contains(where: groups.contains)
        }
    }

    /// Whether a peer with these credentials may connect. Any thread.
    ///
    /// - Parameter credentials: of the peer.
    public func permits(_ credentials: PeerCredentials) -> Bool { predicate(credentials) }
}
