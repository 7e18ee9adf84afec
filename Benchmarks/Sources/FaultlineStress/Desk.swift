import Faultline
import Synchronization

/// Where failures are noted as they happen, and whom to ask when nothing happens any more.
final class Desk: Sendable {
    private struct State {
        var pager: Pager?
        var failures: [String] = []
    }

    private let state = Mutex(State())

    /// The pager that serves now.
    var pager: Pager? {
        get { state.withLock { $0.pager } }
        set { state.withLock { $0.pager = newValue } }
    }

    /// Notes what a pager tells its owner. Any thread; the loop's as a rule.
    func note(_ failure: FaultFailure) {
        state.withLock { $0.failures.append("\(failure.region) at \(failure.range): \(failure.error)") }
    }

    /// No failure is part of the plan.
    func requireNoFailures() throws(Failure) {
        let failures = state.withLock { $0.failures }
        guard let first = failures.first else { return }
        throw .failed("\(failures.count) failures, the first of them: \(first)")
    }

    /// The pager's counts, or nil when its loop does not answer for two seconds. Blocks.
    func statisticsInTime() -> PagerStatistics? {
        guard let pager else { return nil }
        let answer = Answer()
        Task { answer.set(await pager.statistics) }
        for _ in 0..<200 {
            if let statistics = answer.value { return statistics }
            pause(milliseconds: 10)
        }
        return answer.value
    }
}

private final class Answer: Sendable {
    private let statistics = Mutex<PagerStatistics?>(nil)

    var value: PagerStatistics? { statistics.withLock { $0 } }
    func set(_ value: PagerStatistics) { statistics.withLock { $0 = value } }
}
