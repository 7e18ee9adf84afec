/// The number of a named activity.
package struct ActivityID: Hashable, Sendable {
    let number: UInt32

    static let none = ActivityID(number: 0)
    static let job = ActivityID(number: 1)
    static let timer = ActivityID(number: 2)
    static let endOfTurn = ActivityID(number: 3)
}

final class StallDetector: Sendable {
    init?(_ configuration: Reactor.Configuration) {
        return nil
    }
    func register(_ name: String) -> ActivityID { .none }
    func begin(_ activity: ActivityID) -> ActivityID { .none }
    func end(_ outer: ActivityID) {}
    func watchCurrentThread() {}
}
