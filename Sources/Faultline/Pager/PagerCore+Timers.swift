import EventReactor

extension PagerCore: TimerHandler {
    func timerFired(_ id: TimerID) {
        if id == parkedTimer {
            retryParked()
        } else if id == gatherTimer {
            gatherTimer = nil
            scheduleCommit()
        } else if id == strayTimer {
            retryStrays()
        } else if id == readTimer {
            readTimer = nil
            descriptorReady(.readable)
        } else if id == liveness?.timer {
            liveness?.timer = nil
            checkLiveness()
        } else if id == deadlineTimer {
            deadlineTimer = nil
            close()
        } else if let ticket = retryTimers.removeValue(forKey: id) {
            retry(ticket)
        }
    }
}
