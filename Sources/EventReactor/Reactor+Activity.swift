// Names for what the loop is doing, so that a stall report can tell which handler it was.
extension Reactor {
    /// Gives a name to an activity; `nil` if this reactor detects no stalls, and nothing need be done. Any thread.
    package func registerActivity(_ name: @autoclosure () -> String) -> ActivityID? {
        loop.stallDetector?.register(name())
    }

    /// Undoes ``registerActivity(_:)``. Any thread.
    package func unregisterActivity(_ activity: ActivityID?) {
        if let activity { loop.stallDetector?.unregister(activity) }
    }

    /// Runs `body` under the name of `activity`. Loop thread only; without a detector it costs one comparison.
    @inline(__always)
    package func asActivity<Value: ~Copyable, Failure: Error>(
        _ activity: ActivityID?, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        guard let activity, let detector = loop.stallDetector else { return try body() }
        let outer = detector.begin(activity)
        defer { detector.end(outer) }
        return try body()
    }
}
