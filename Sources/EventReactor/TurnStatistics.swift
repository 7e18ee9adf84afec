/// Counters of a reactor since it was made; see ``Reactor/statistics()``.
public struct TurnStatistics: Hashable, Sendable {
    /// Turns taken.
    public var turns: UInt64 = 0
    /// Turns that blocked, or would have if nothing had been ready, because nothing was left to do.
    public var waits: UInt64 = 0
    /// Callbacks of descriptors (the reactor's own two are not counted).
    public var callbacks: UInt64 = 0
    /// Jobs run: pieces of tasks, and closures given to ``Reactor/execute(_:)``.
    public var jobs: UInt64 = 0
    /// Jobs that came from other threads.
    public var jobsFromElsewhere: UInt64 = 0
    /// Writes to the wake-up descriptor, made by other threads because the loop was asleep.
    public var wakeups: UInt64 = 0
    /// Timers fired.
    public var timersFired: UInt64 = 0
    /// Times the kernel timer was set (`timerfd_settime(2)`).
    public var timersArmed: UInt64 = 0
    /// Turns that looked for work for a while instead of blocking at once; see ``WaitingStrategy/spinning(upTo:)``.
    public var spins: UInt64 = 0
    /// Those of them that found nothing, and blocked after all.
    public var spinsInVain: UInt64 = 0
    /// Nanoseconds spent looking for work, in vain or not. Stays 0 if the reactor does not spin.
    public var spinningNanoseconds: UInt64 = 0
    /// Nanoseconds spent in turns that blocked, without those spent looking; stays 0 unless ``Reactor/Configuration/measuresWaiting`` is set.
    public var waitingNanoseconds: UInt64 = 0

    /// Counters at zero.
    public init() {}
}

/// Receives a record of each turn. Called on the loop thread: must not block.
public protocol TurnObserver: Sendable {
    /// A turn ended; `statistics` are the counters so far. Not called in the middle of a turn.
    func turnEnded(_ statistics: TurnStatistics)
}
