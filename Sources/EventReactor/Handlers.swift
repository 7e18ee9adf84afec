/// What a descriptor source calls, synchronously and on the loop thread.
///
/// The calls must not block, and must never touch memory whose page faults this loop serves.
public protocol ReadinessHandler: AnyObject {
    /// The descriptor is ready. Level-triggered: called again in the next turn unless what made it ready is
    /// consumed. May cancel its own source.
    func descriptorReady(_ readiness: Readiness)

    /// The reactor shut down while the source was still there; the source is cancelled already. Default: nothing.
    func descriptorAbandoned()
}

extension ReadinessHandler {
    /// Does nothing.
    public func descriptorAbandoned() {}
}

/// Work that runs once at the end of a turn; see ``Reactor/scheduleEndOfTurn(_:)``.
public protocol EndOfTurnWork: AnyObject {
    /// Called on the loop thread, after the callbacks or after the jobs of the turn it was scheduled in.
    func endOfTurn()
}

/// What a timer calls, synchronously and on the loop thread.
public protocol TimerHandler: AnyObject {
    /// The timer's time has come. `id` is spent and will not be reused for a long time.
    func timerFired(_ id: TimerID)

    /// The reactor shut down before the timer fired. Default: nothing.
    func timerAbandoned(_ id: TimerID)
}

extension TimerHandler {
    /// Does nothing.
    public func timerAbandoned(_ id: TimerID) {}
}

/// Something that holds sources or waiting tasks of the reactor and must let go of them at shutdown.
package protocol ShutdownParticipant: AnyObject {
    /// Cancel what you have and resume who waits with ``ReactorError/shutDown``. Called once, on the loop thread.
    func reactorShutsDown()
}
