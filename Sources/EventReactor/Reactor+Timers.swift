extension Reactor {
    /// Calls `handler` once, after `delay`. Loop thread only (traps elsewhere); does not block; allocates nothing once
    /// as many timers have run at the same time before.
    ///
    /// Precise: one `timerfd` serves all timers and is set anew only when the earliest deadline changes, at most once
    /// per turn. The time is that of CLOCK_MONOTONIC. The reactor holds the handler until the timer fired or was
    /// cancelled. Once the reactor shuts down, no timer is started and ``TimerID/none`` is returned.
    @discardableResult
    public func startTimer(after delay: Duration, _ handler: any TimerHandler) -> TimerID {
        requireLoop()
        return loop.startTimer(deadline: loop.deadline(after: delay), handler)
    }

    /// Stops a timer. Loop thread only (traps elsewhere); does not block or allocate.
    ///
    /// - Returns: whether it was still running; false if it has fired.
    @discardableResult
    public func cancelTimer(_ id: TimerID) -> Bool {
        requireLoop()
        return loop.cancelTimer(id)
    }

    /// Suspends the calling task for `duration`. Any thread; a task that prefers the reactor as its executor
    /// does not leave the loop for it.
    ///
    /// - Throws: `cancelled` if the task is, `shutDown`.
    public func sleep(for duration: Duration) async throws(ReactorError) {
        try await loop.sleep(until: loop.deadline(after: duration))
    }
}

extension LoopState {
    func deadline(after delay: Duration) -> Int64 {
        let (sum, overflow) = SystemCall.monotonicNanoseconds()
            .addingReportingOverflow(delay.wholeNanoseconds)
        return overflow ? .max : sum
    }

    func sleep(until deadline: Int64) async throws(ReactorError) {
        let sleeper = Sleeper(self)
        let result = await withTaskCancellationHandler {
            await park(on: self) { parked in
                self.perform { sleeper.start(deadline: deadline, parked) }
            }
        } onCancel: {
            self.perform { sleeper.cancel() }
        }
        try result.get()
    }
}

/// One sleeping task.
///
/// `@unchecked Sendable`: only the loop thread touches its variables.
private final class Sleeper: TimerHandler, @unchecked Sendable {
    private let loop: LoopState
    private var parked: Parked<Result<Void, ReactorError>>?
    private var timer = TimerID.none
    private var isCancelled = false

    init(_ loop: LoopState) {
        self.loop = loop
    }

    func start(deadline: Int64, _ parked: Parked<Result<Void, ReactorError>>) {
        if isCancelled { return parked.resume(.failure(.cancelled)) }
        if loop.phase != .running { return parked.resume(.failure(.shutDown)) }
        self.parked = parked
        timer = loop.startTimer(deadline: deadline, self)
    }

    func cancel() {
        isCancelled = true
        if loop.cancelTimer(timer) { finish(.failure(.cancelled)) }
    }

    func timerFired(_ id: TimerID) { finish(.success(())) }

    func timerAbandoned(_ id: TimerID) { finish(.failure(.shutDown)) }

    private func finish(_ result: Result<Void, ReactorError>) {
        parked?.resume(result)
        parked = nil
    }
}

extension Duration {
    /// Nanoseconds, limited to what fits.
    var wholeNanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return overflow2 ? (seconds < 0 ? .min : .max) : sum
    }
}
