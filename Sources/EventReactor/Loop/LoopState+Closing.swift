extension LoopState {
    /// Lets go of every source, timer and waiting task. Jobs are still run afterwards.
    func closeSources() {
        phase = .closing
        spinSources.removeAll()
        while let (key, participant) = participants.first {
            participants[key] = nil
            participant.reactorShutsDown()
        }
        while let (_, source) = sources.first {
            source.cancel()
            source.handler.descriptorAbandoned()
        }
        while let (id, handler) = timers.value.popFirst(until: .max) {
            handler.timerAbandoned(id)
        }
    }

    /// Runs jobs and end-of-turn work until none is left.
    func drain() {
        isInTurn = true
        repeat {
            takeArrivals()
            runJobs(atMost: .max)
            while !endOfTurnWork.value.isEmpty { runEndOfTurnWork() }
        } while !ring.value.isEmpty || inbox.mayHaveItems
        isInTurn = false
    }
}
