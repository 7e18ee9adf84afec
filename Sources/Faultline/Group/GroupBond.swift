import EventReactor

/// What ties the pagers of a group together: when one has closed, the others follow.
final class GroupBond: Sendable {
    private struct Member: Sendable {
        let reactor: Reactor
        let core: LoopBound<PagerCore>
    }

    /// Emptied when the first one closes: from then on there is nothing left to be told.
    private let members: Lock<[Member]>

    init(_ pagers: [Pager]) {
        members = Lock(pagers.map { Member(reactor: $0.reactor, core: $0.core) })
    }

    /// One of them has closed. Its loop's thread.
    ///
    /// - Parameter error: why, if not because it was shut down.
    func isClosed(because error: PagerError?) {
        let rest = members.withLock { members in
            defer { members = [] }
            return members
        }
        for member in rest {
            let core = member.core
            member.reactor.execute {
                if let error {
                    core.value.stop(because: error)
                } else {
                    core.value.drain(within: .seconds(5))
                }
            }
        }
    }
}

extension PagerCore {
    /// Becomes part of a group. False if it has closed already.
    func join(_ bond: GroupBond) -> Bool {
        guard lifecycle != .closed else { return false }
        onClosed = { [unowned self] in bond.isClosed(because: stopError) }
        return true
    }
}
