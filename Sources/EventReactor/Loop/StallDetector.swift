import Synchronization

/// Watches, from a thread of its own, whether one activity holds the loop for too long.
///
/// The loop publishes what it does and since when: two stores for each begin and end. The watchdog samples them.
final class StallDetector: Sendable {
    /// A stall that is over.
    private struct Ended {
        var name: String
        var nanoseconds: Int64
    }

    private struct State {
        var ended: [Ended] = []
        var isStopped = false
    }

    private let threshold: Int64
    private let report: @Sendable (StallReport) -> Void
    private let names = Lock(ActivityNames())
    /// The activity's number in the upper 24 bits, a serial number in the others.
    private let current = Atomic<UInt64>(0)
    private let since = Atomic<Int64>(0)
    private let loopThreadID = Atomic<Int32>(0)
    private let state = Lock(State())
    private let signal = TimedSignal()

    /// `nil` unless the configuration asks for a detector.
    init?(_ configuration: Reactor.Configuration) {
        guard let threshold = configuration.stallThreshold, let report = configuration.onStall
        else { return nil }
        self.threshold = max(threshold.wholeNanoseconds, 1)
        self.report = report
    }

    func register(_ name: String) -> ActivityID { names.withLock { $0.register(name) } }

    func unregister(_ activity: ActivityID) { names.withLock { $0.unregister(activity) } }

    // MARK: On the loop thread

    func watchCurrentThread() {
        loopThreadID.store(SystemCall.currentThreadID, ordering: .relaxed)
    }

    /// - Returns: the activity within which this one begins, to be given to ``end(_:)``.
    func begin(_ activity: ActivityID) -> ActivityID {
        publish(activity)
    }

    func end(_ outer: ActivityID) {
        let now = SystemCall.monotonicNanoseconds()
        let elapsed = now - since.load(ordering: .relaxed)
        let ended = publish(outer, now)
        if elapsed >= threshold {
            let name = names.withLock { $0[ended] }
            state.withLock { $0.ended.append(Ended(name: name, nanoseconds: elapsed)) }
            signal.raise()
        }
    }

    @discardableResult
    private func publish(
        _ activity: ActivityID, _ now: Int64 = SystemCall.monotonicNanoseconds()
    ) -> ActivityID {
        let former = current.load(ordering: .relaxed)
        let serial = (former &+ 1) & (1 << 40 - 1)
        since.store(now, ordering: .relaxed)
        current.store(UInt64(activity.number) << 40 | serial, ordering: .releasing)
        return ActivityID(number: UInt32(former >> 40))
    }

    // MARK: On the watchdog's thread

    func startWatching(name: String) throws(ReactorError) {
        _ = try LoopThread.start(name: name + "-stall", detached: true) { self.watch() }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        signal.raise()
    }

    private func watch() {
        // Short enough to see a stall before it has lasted twice the threshold.
        let interval = max(threshold / 2, 1_000_000)
        var lastReported: UInt64 = 0
        while true {
            signal.wait(atMost: interval)
            let (ended, isStopped) = state.withLock { state in
                defer { state.ended = [] }
                return (state.ended, state.isStopped)
            }
            for stall in ended {
                report(
                    StallReport(
                        activity: stall.name, duration: .nanoseconds(stall.nanoseconds),
                        kernelFunction: nil, isOngoing: false))
            }
            if isStopped { return }
            reportOngoing(unless: &lastReported)
        }
    }

    private func reportOngoing(unless lastReported: inout UInt64) {
        let sample = current.load(ordering: .acquiring)
        let start = since.load(ordering: .relaxed)
        let activity = ActivityID(number: UInt32(sample >> 40))
        let elapsed = SystemCall.monotonicNanoseconds() - start
        guard activity != .none, sample != lastReported, elapsed >= threshold,
            current.load(ordering: .relaxed) == sample
        else { return }
        lastReported = sample
        report(
            StallReport(
                activity: names.withLock { $0[activity] }, duration: .nanoseconds(elapsed),
                kernelFunction: SystemCall.kernelFunction(ofThread: loopThreadID.load(ordering: .relaxed)),
                isOngoing: true))
    }
}
