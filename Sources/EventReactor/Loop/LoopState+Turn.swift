// One turn. The order is documented in the article "One turn"; keep both the same.
extension LoopState {
    /// Whether something waits to be done without any descriptor becoming ready.
    var hasWork: Bool {
        !ring.value.isEmpty || !endOfTurnWork.value.isEmpty || timersAreDue || isStopRequested
    }

    /// One turn of a loop of our own or of the host's making.
    func turn(mayWait: Bool) {
        isInTurn = true
        statistics.turns &+= 1
        armKernelTimer()
        if !mayWait || hasWork {
            base.poll()
        } else if spins {
            waitSpinning()
        } else {
            waitBlocking()
        }
        finishTurn()
        isInTurn = false
    }

    private static let jobsBeforeEndOfTurn = 16

    /// What follows the callbacks: timers, end-of-turn work, jobs, and the end-of-turn work that jobs scheduled.
    private func finishTurn() {
        if timersAreDue { fireTimers() }
        if !endOfTurnWork.value.isEmpty {
            // End-of-turn work wakes the threads that wait for pages, which may take the core from us at once: a few
            // jobs that are ready, say an answer on a socket, go first.
            if !ring.value.isEmpty { runJobs(atMost: min(Self.jobsBeforeEndOfTurn, jobsPerTurn)) }
            runEndOfTurnWork()
        }
        takeArrivals()
        if !ring.value.isEmpty {
            runJobs(atMost: jobsPerTurn)
            if !endOfTurnWork.value.isEmpty { runEndOfTurnWork() }
        }
        // The flag spares a copy of the observer in each turn.
        if hasTurnObserver, let observer = configuration.turnObserver { observer.turnEnded(statistics) }
    }

    /// Moves what other threads left into the ring.value.
    func takeArrivals() {
        guard inbox.mayHaveItems else { return }
        inbox.take(into: &arrivals)
        statistics.jobsFromElsewhere &+= UInt64(arrivals.count)
        for index in arrivals.indices { ring.value.append(arrivals[index]) }
        arrivals.removeAll(keepingCapacity: true)
    }

    func runJobs(atMost limit: Int) {
        guard let executors else { return }
        var remaining = limit
        isRunningJobs = true
        while remaining > 0, let item = ring.value.popFirst() {
            remaining -= 1
            if let stallDetector {
                let outer = stallDetector.begin(.job)
                item.run(executors)
                stallDetector.end(outer)
            } else {
                item.run(executors)
            }
        }
        isRunningJobs = false
        statistics.jobs &+= UInt64(limit - remaining)
    }

    func runEndOfTurnWork() {
        // What is scheduled meanwhile goes into the other array, for later.
        swap(&endOfTurnWork.value, &endOfTurnBeingRun.value)
        // By index: an iterator would hold the array, and emptying it would then allocate another.
        for index in endOfTurnBeingRun.value.indices {
            let work = endOfTurnBeingRun.value[index]
            if let stallDetector {
                let outer = stallDetector.begin(activity(of: work, stallDetector))
                work.endOfTurn()
                stallDetector.end(outer)
            } else {
                work.endOfTurn()
            }
        }
        endOfTurnBeingRun.value.removeAll(keepingCapacity: true)
    }

    /// End-of-turn work goes by the name of its type.
    private func activity(of work: any EndOfTurnWork, _ detector: StallDetector) -> ActivityID {
        let type = type(of: work)
        if let known = endOfTurnActivities[ObjectIdentifier(type)] { return known }
        let activity = detector.register("end of turn: \(type)")
        endOfTurnActivities[ObjectIdentifier(type)] = activity
        return activity
    }

    /// Each callback from libevent starts with this.
    @inline(__always)
    func callbackBegins() {
        if isWaiting {
            isWaiting = false
            inbox.stopWaiting()
        }
        if drive == .attached { attachedCallbackBegins() }
    }

    /// The wake-up descriptor is edge-triggered and never read; being woken is all there is to it.
    func wokenUp() {
        callbackBegins()
    }
}

// An attached reactor's turn: the host's loop calls us.
extension LoopState {
    /// Asks for a turn in this iteration of the host's loop, once.
    @inline(__always)
    func requestTurnIfAttached() {
        if drive == .attached, !isTurnRequested, !isInTurn { requestTurn() }
    }

    private func requestTurn() {
        isTurnRequested = true
        turnEvent?.activate()
    }

    private func attachedCallbackBegins() {
        bindToCurrentThread()
        requestTurnIfAttached()
    }

    /// The turn itself, after the callbacks that were active before it was asked for.
    func attachedTurn() {
        // The event, and with it the last reference to this, may go away below.
        withExtendedLifetime(self) {
            bindToCurrentThread()
            isInTurn = true
            isTurnRequested = false
            statistics.turns &+= 1
            // From here on, whoever adds a job wakes us again; what was added before is taken below.
            inbox.rearm()
            finishTurn()
            armKernelTimer()
            isInTurn = false
            if isStopRequested {
                close()
            } else if hasWork {
                // The rest in the host's next iteration, after it has looked at its own descriptors.
                isTurnRequested = true
                turnEvent?.addForNextIteration()
            }
        }
    }
}
