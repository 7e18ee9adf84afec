// How a turn that has nothing to do waits for something.
extension LoopState {
    /// More sources than these are not looked at one by one.
    static let mostSpinSources = 4

    /// Blocks until something is ready, and runs its callbacks.
    func waitBlocking() {
        if inbox.prepareToWait() { block() } else { base.poll() }
    }

    /// Looks for work for as long as that is promising; then, if none has come, does as ``waitBlocking()``.
    func waitSpinning() {
        // Jobs that are there already are nothing to wait for, nor to learn from.
        if inbox.mayHaveItems { return base.poll() }
        let start = SystemCall.monotonicNanoseconds()
        let allowance = spinBudget.allowance
        if allowance > 0 {
            let (elapsed, found) = spin(from: start, atMost: allowance)
            if found { return spinBudget.found(after: elapsed) }
        }
        waitBlocking()
        let gap = SystemCall.monotonicNanoseconds() - start
        if allowance > 0 { spinBudget.spunInVain(gap: gap) } else { spinBudget.blocked(gap: gap) }
    }

    /// The only place where a reactor uses the processor without having work. Other threads see a loop that is running:
    /// they leave their jobs without a system call.
    ///
    /// - Returns: how long it took, and whether work came; its callbacks have run.
    @inline(never)
    private func spin(from start: Int64, atMost allowance: Int64) -> (elapsed: Int64, found: Bool) {
        var elapsed: Int64 = 0
        var round = 0
        var found = false
        // With many, asking the kernel's queue about all of them at once is the faster way.
        let looksDirectly = !spinSources.isEmpty && spinSources.count <= Self.mostSpinSources
        isWaiting = true
        repeat {
            // Where there are sources to look at directly, the others are not looked at each time, but always
            // once in a turn.
            if looksDirectly { found = pollSpinSources() }
            if found || !looksDirectly || round & 3 == 0 { base.poll() }
            round += 1
            // A callback took back that we wait; jobs from elsewhere come without one.
            found = found || !isWaiting || inbox.mayHaveItems || hasWork
            elapsed = SystemCall.monotonicNanoseconds() - start
        } while !found && elapsed < allowance
        isWaiting = false
        statistics.spins &+= 1
        if !found { statistics.spinsInVain &+= 1 }
        statistics.spinningNanoseconds &+= UInt64(elapsed)
        return (elapsed, found)
    }

    private func block() {
        statistics.waits &+= 1
        isWaiting = true
        if configuration.measuresWaiting {
            let start = SystemCall.monotonicNanoseconds()
            eventReactorWaitsForWork(base)
            statistics.waitingNanoseconds &+= UInt64(SystemCall.monotonicNanoseconds() - start)
        } else {
            eventReactorWaitsForWork(base)
        }
        if isWaiting {
            isWaiting = false
            inbox.stopWaiting()
        }
    }
}
