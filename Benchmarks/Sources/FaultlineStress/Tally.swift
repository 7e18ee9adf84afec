import Faultline

/// What was done in one bounce or several.
struct Tally: Sendable {
    var locks: UInt64 = 0
    var messages = 0
    var ioctls = 0
    var wakes = 0
    /// Times that the pager found a page there already.
    var exists = 0
    var partials = 0
    var unprotects = 0
    /// Faults that the faulting threads resolved.
    var inThread = 0

    init() {}

    init(locks: UInt64, statistics: PagerStatistics) {
        self.locks = locks
        messages = statistics.messages
        ioctls = statistics.ioctls
        wakes = statistics.wakes
        exists = statistics.exists
        partials = statistics.partials
        unprotects = statistics.unprotects
        inThread = statistics.inThreadResolutions
    }

    static func += (left: inout Tally, right: Tally) {
        left.locks += right.locks
        left.messages += right.messages
        left.ioctls += right.ioctls
        left.wakes += right.wakes
        left.exists += right.exists
        left.partials += right.partials
        left.unprotects += right.unprotects
        left.inThread += right.inThread
    }

    var text: String {
        "\(locks) mutexes taken, \(messages) faults (and \(inThread) in-thread), \(ioctls) ioctls (\(wakes) wakes, \(unprotects) unprotects), "
            + "\(exists) found there already, \(partials) done in part"
    }
}
