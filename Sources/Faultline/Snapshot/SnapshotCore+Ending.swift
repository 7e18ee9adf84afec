import EventReactor
import Userfault

// How a snapshot ends.
extension SnapshotCore {
    /// Ends the snapshot before its time: writers go on, protection is lifted.
    func abort(_ error: PagerError) {
        guard phase != .over else { return }
        failure = error
        board.stop(error)
        if protectsFills { watch.mayBeProtected = true }
        let waiting = held.keys.sorted()
        held.removeAll()
        end()
        for page in waiting { watch.letWrite(page..<page + 1) }
    }

    /// The region goes out of service, with all protection and all who wait.
    func retire() {
        guard phase != .over else { return }
        failure = .shutDown()
        board.stop(.shutDown())
        end()
    }

    func end() {
        report.protected = startTime.duration(to: .now)
        report.suppliedPages = supply?.suppliedPages ?? 0
        phase = .over
        supply = nil
        // What comes next lifts protection.
        watch.abandon(pass)
        pass = nil
        let started = whenStarted
        whenStarted = nil
        if let failure { started?(.failure(failure)) }
        if watch.snapshot === self { watch.snapshot = nil }
        let over = whenOver
        whenOver = nil
        if let over { whenRegionIsFree(over) }
    }

    /// Calls `body` when the snapshot is over and no page is protected because of it.
    func whenOver(_ body: @escaping (SnapshotReport) -> Void) {
        if phase == .over { whenRegionIsFree(body) } else { whenOver = body }
    }

    private func whenRegionIsFree(_ body: @escaping (SnapshotReport) -> Void) {
        let report = self.report
        if watch.tracking == nil, watch.snapshot == nil {
            watch.whenAtRest { body(report) }
        } else {
            body(report)
        }
    }
}
