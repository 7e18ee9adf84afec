extension LoopState {
    func startTimer(deadline: Int64, _ handler: any TimerHandler) -> TimerID {
        guard phase == .running else { return .none }
        let id = timers.value.insert(deadline: deadline, handler)
        // Armed at the start of the next wait; an attached reactor does it at the end of its turn.
        requestTurnIfAttached()
        return id
    }

    func cancelTimer(_ id: TimerID) -> Bool {
        timers.value.remove(id) != nil
    }

    /// Sets the kernel timer if the earliest deadline is before what it is set to. A deadline that moved away is
    /// left to expire: one turn too many is cheaper than a system call for each timer that is cancelled.
    func armKernelTimer() {
        guard let earliest = timers.value.earliest, earliest < armedDeadline, !timersAreDue else { return }
        SystemCall.arm(timerDescriptor, at: earliest)
        armedDeadline = earliest
        statistics.timersArmed &+= 1
    }

    func kernelTimerExpired() {
        callbackBegins()
        armedDeadline = .max
        timersAreDue = true
    }

    func fireTimers() {
        let now = SystemCall.monotonicNanoseconds()
        timersAreDue = false
        var remaining = timersPerTurn
        while remaining > 0, let (id, handler) = timers.value.popFirst(until: now) {
            remaining -= 1
            statistics.timersFired &+= 1
            if let stallDetector {
                let outer = stallDetector.begin(.timer)
                handler.timerFired(id)
                stallDetector.end(outer)
            } else {
                handler.timerFired(id)
            }
        }
        // Out of budget: the rest in the next turn.
        if remaining == 0, let earliest = timers.value.earliest, earliest <= now { timersAreDue = true }
    }
}
