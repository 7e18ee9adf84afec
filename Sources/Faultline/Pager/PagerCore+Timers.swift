import EventReactor

extension PagerCore: TimerHandler {
    func timerFired(_ id: TimerID) {
        if id == parkedTimer {
            retryParked()
        } else if id == deadlineTimer {
            deadlineTimer = nil
            close()
        } else if let request = retryTimers.removeValue(forKey: id) {
            retryRequest(request)
        }
    }
}
