import EventReactor

// When what is pending is carried out.
extension PagerCore {
    /// As many answers are not held back any longer.
    static let gatherLimit = 64

    func scheduleCommit() {
        // While faults are being read, the commit follows at the end of that.
        guard !isCommitScheduled, !isReading else { return }
        isCommitScheduled = true
        reactor.scheduleEndOfTurn(self)
    }

    /// An answer has come while no faults are being read. Others are to come, with which it may be carried out.
    func scheduleCommitOfAnswers() {
        let delay = configuration.gatherDelay
        guard delay > .zero, !open.tickets.isEmpty, lifecycle == .serving,
            scheduler.pendingCount < Self.gatherLimit, !isReading, !isCommitScheduled
        else { return scheduleCommit() }
        if gatherTimer == nil { gatherTimer = reactor.startTimer(after: delay, self) }
    }
}
