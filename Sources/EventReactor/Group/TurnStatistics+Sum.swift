extension TurnStatistics {
    /// The counters of two reactors together: for a ``ReactorGroup``, `await group.statistics().reduce(TurnStatistics(), +)`.
    public static func + (left: TurnStatistics, right: TurnStatistics) -> TurnStatistics {
        var sum = left
        sum.turns &+= right.turns
        sum.waits &+= right.waits
        sum.callbacks &+= right.callbacks
        sum.jobs &+= right.jobs
        sum.jobsFromElsewhere &+= right.jobsFromElsewhere
        sum.wakeups &+= right.wakeups
        sum.timersFired &+= right.timersFired
        sum.timersArmed &+= right.timersArmed
        sum.spins &+= right.spins
        sum.spinsInVain &+= right.spinsInVain
        sum.spinningNanoseconds &+= right.spinningNanoseconds
        sum.waitingNanoseconds &+= right.waitingNanoseconds
        return sum
    }
}
