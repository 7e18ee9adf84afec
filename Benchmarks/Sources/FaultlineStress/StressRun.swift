import EventReactor
import Faultline
import Userfault

/// Bounces on one backing, as many as its share of the time allows and at least those asked for.
struct StressRun: Sendable {
    var backing: Backing
    var options: Options
    var watchdog: Watchdog
    var desk: Desk

    /// What came of it.
    struct Summary: Sendable {
        var bounces = 0
        var tally = Tally()
        var intrusions = (installs: 0, secondCopies: 0)
        var time = Duration.zero
    }

    private var pages: Int { max(options.mebibytes << 20 / backing.pageSize, 2) }

    /// Throws ``Skipped`` when the machine cannot do it, ``Failure`` when something went wrong.
    func run() async throws -> Summary {
        let features = try Userfaultfd.probe().availableFeatures
        if let refusal = backing.refusal(by: features) { throw Skipped(description: refusal) }
        // Source and destination, and what is being released meanwhile; twice, for others who borrow as well.
        let refusal = backing.isHuge ? HugePages.borrow(6 * pages) : nil
        let reactor = try Reactor.start(.init(name: "stress"))
        do {
            let summary = try await bounce(setting(on: reactor, features))
            await reactor.shutdown()
            return summary
        } catch let reason as Skipped {
            await reactor.shutdown()
            throw refusal.map { Skipped(description: "\(reason); \($0)") } ?? reason
        }
    }

    private func setting(on reactor: Reactor, _ features: Features) throws -> Bounce.Setting {
        Bounce.Setting(
            backing: backing, pages: pages, threads: options.threads ?? max(CPUs.count, 2),
            seed: options.seed,
            movesBuffers: backing == .anonymous && features.contains(.move), reactor: reactor,
            toucher: try WorkerPool(threads: 1, name: "toucher"), shadow: try Shadow(pages: pages),
            intruder: try Intruder(isShared: backing.isShared, pages: pages), watchdog: watchdog, desk: desk)
    }

    private func bounce(_ setting: Bounce.Setting) async throws -> Summary {
        var source = try Source(fresh: pages, pageSize: backing.pageSize, shadow: setting.shadow)
        var summary = Summary()
        let begin = ContinuousClock.now
        let goal = options.goal
        while summary.bounces < goal.bounces || ContinuousClock.now - begin < goal.time {
            let bounce = Bounce(setting: setting, number: summary.bounces, source: source)
            let result: (source: Source, tally: Tally)
            do {
                result = try await bounce.run()
            } catch let error where backing.isHuge && summary.bounces == 0 && StressRun.isLackOfMemory(error)
            {
                throw Skipped(description: "the system has not enough huge pages: \(error)")
            }
            source = result.source
            summary.tally += result.tally
            summary.bounces += 1
        }
        summary.intrusions = setting.intruder.counts
        summary.time = ContinuousClock.now - begin
        return summary
    }

    private static func isLackOfMemory(_ error: any Error) -> Bool {
        ((error as? PagerError)?.systemFailure ?? error as? SystemFailure)?.errno == .noMemory
    }
}

extension StressRun.Summary {
    var text: String {
        let seconds = time / .seconds(1)
        let tenths = Int((seconds * 10).rounded())
        return "\(bounces) bounces in \(tenths / 10).\(tenths % 10) s: \(tally.text); "
            + "\(intrusions.installs) installed behind the pager's back, \(intrusions.secondCopies) second copies refused"
    }
}
