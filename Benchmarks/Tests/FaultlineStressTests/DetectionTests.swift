import CStress
import EventReactor
import Faultline
import Synchronization
import Testing
import Userfault

@testable import FaultlineStress

private let hasUserfaultfd = (try? Userfaultfd.probe()) != nil

/// What the program is for: corruption and hangs must be noticed.
@Suite(.timeLimit(.minutes(5))) struct DetectionTests {
    private let page = SystemPage.size

    private func lockers(
        _ area: AddressRange, _ shadow: Shadow, order: Lockers.Order = .sequential
    ) throws -> Lockers {
        try Lockers(area: area, pageSize: page, shadow: shadow, threads: 2, order: order, seed: 3)
    }

    @Test(arguments: Lockers.Order.allCases)
    func countersAgreeWhereNothingIsWrong(order: Lockers.Order) async throws {
        let shadow = try Shadow(pages: 8)
        let source = try Source(fresh: 8, pageSize: page, shadow: shadow)
        let threads = try lockers(source.range, shadow, order: order)
        while threads.counts.contains(where: { $0 < 1000 }) { await Task.yield() }
        threads.stop()
        #expect(threads.join().isEmpty)
        try shadow.verify(source.range, pageSize: page)
    }

    /// A counter of an older state, or bytes of another page.
    @Test(arguments: [64, 128, 4088])
    func whatIsWrongInAPageIsFound(offset: Int) throws {
        let shadow = try Shadow(pages: 4)
        let source = try Source(fresh: 4, pageSize: page, shadow: shadow)
        // A word of page 1 in the place of one of page 2.
        cstress_copy(
            source.range.start + UInt(2 * page + offset), source.range.start + 64 + UInt(page) + 80, 8)
        let failure = #expect(throws: Failure.self) { try shadow.verify(source.range, pageSize: page) }
        #expect("\(failure.map { $0.description } ?? "")".hasPrefix("Page 2 of 4 is corrupt"))
        guard offset == 64 else { return }
        let threads = try lockers(source.range, shadow)
        while !threads.hasFoundCorruption {}
        threads.stop()
        #expect(threads.join().map(\.page) == [2])
    }

    @Test func whoDoesNotMoveIsReported() async throws {
        let told = Mutex<String?>(nil)
        let moving = Atomic<UInt64>(0)
        let watchdog = try Watchdog(limit: .milliseconds(300)) { sentence in told.withLock { $0 = sentence } }
        defer { watchdog.stop() }
        _ = watchdog.watch("mover") { moving.add(1, ordering: .relaxed).newValue }
        watchdog.forget([watchdog.watch("forgotten") { 0 }])
        _ = watchdog.watch("sleeper") { 7 }
        while told.withLock({ $0 }) == nil { pause(milliseconds: 5) }
        let sentence = try #require(told.withLock { $0 })
        #expect(sentence.contains("sleeper (at 7)"))
        #expect(!sentence.contains("mover") && !sentence.contains("forgotten"))
    }

    @Test(.enabled(if: hasUserfaultfd)) func threadsThatNobodyServesAreAHang() async throws {
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor)
        let shadow = try Shadow(pages: 4)
        let source = try Source(fresh: 4, pageSize: page, shadow: shadow)
        let handler = Hesitant(pages: source.pages)
        let region = try await pager.map(byteCount: 4 * page, handler: handler)
        let told = Mutex<String?>(nil)
        let watchdog = try Watchdog(limit: .milliseconds(500)) { sentence in told.withLock { $0 = sentence } }
        defer { watchdog.stop() }
        let threads = try lockers(region.range, shadow)
        _ = watchdog.watch("locker 0") { threads.counts[0] }
        while told.withLock({ $0 }) == nil { pause(milliseconds: 5) }
        #expect(told.withLock { $0 }?.contains("locker 0 (at 0)") == true)

        // It was a hang and no corruption: once they are served, they go on.
        handler.isWilling.store(true, ordering: .relaxed)
        while threads.counts.contains(0) { pause(milliseconds: 1) }
        threads.stop()
        #expect(threads.join().isEmpty)
        await pager.shutdown()
        await reactor.shutdown()
    }

    @Test(.enabled(if: hasUserfaultfd), arguments: [Backing.anonymous, .shared])
    func aShortRunBouncesAndCounts(backing: Backing) async throws {
        var options = Options()
        options.mebibytes = 4
        options.bounces = 6
        options.backings = [backing]
        let watchdog = try Watchdog(limit: .seconds(30)) { Issue.record("\($0)") }
        defer { watchdog.stop() }
        let summary: StressRun.Summary
        do {
            summary = try await StressRun(
                backing: backing, options: options, watchdog: watchdog, desk: Desk()
            ).run()
        } catch let reason as Skipped {
            return say("skipped: \(reason)")
        }
        #expect(summary.bounces == 6)
        #expect(summary.tally.locks > 0)
        #expect(summary.tally.messages > 1024)
        #expect(summary.tally.unprotects > 0)
        #expect(summary.tally.exists >= summary.intrusions.installs)
        #expect(summary.intrusions.secondCopies == 6 * 16)
    }
}

/// Answers when it is willing, and asks to be asked again until then.
private final class Hesitant: FaultHandler {
    let isWilling = Atomic(false)
    private let pages: PageSource

    init(pages: PageSource) { self.pages = pages }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        isWilling.load(ordering: .relaxed)
            ? .copy(from: pages, at: request.offset) : .retry(after: .milliseconds(1))
    }
}
