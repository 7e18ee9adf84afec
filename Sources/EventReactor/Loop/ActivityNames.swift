/// The number of a named activity of the loop, for stall reports.
package struct ActivityID: Hashable, Sendable {
    let number: UInt32

    /// No activity: the loop waits, or looks for something to do.
    static let none = ActivityID(number: 0)
    static let job = ActivityID(number: 1)
    static let timer = ActivityID(number: 2)
}

/// Names by number. Numbers are used again, and stay below 2^24.
struct ActivityNames {
    private var names = ["idle", "job", "timer"]
    private var free: [UInt32] = []

    subscript(_ activity: ActivityID) -> String { names[Int(activity.number)] }

    mutating func register(_ name: String) -> ActivityID {
        if let number = free.popLast() {
            names[Int(number)] = name
            return ActivityID(number: number)
        }
        // 16 million names at a time are enough; the rest shares one.
        guard names.count < 1 << 24 else { return .job }
        names.append(name)
        return ActivityID(number: UInt32(names.count - 1))
    }

    mutating func unregister(_ activity: ActivityID) {
        if activity.number > ActivityID.timer.number { free.append(activity.number) }
    }
}
