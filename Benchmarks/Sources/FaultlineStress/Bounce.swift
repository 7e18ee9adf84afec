import EventReactor
import Faultline
import Synchronization
import Userfault

/// One memory, from the first fault on it to the check of all its counters.
struct Bounce: Sendable {
    /// What is the same for all bounces on a backing.
    struct Setting: Sendable {
        var backing: Backing
        var pages: Int
        var threads: Int
        var seed: UInt64
        var movesBuffers: Bool
        var reactor: Reactor
        var toucher: WorkerPool
        var shadow: Shadow
        var intruder: Intruder
        var watchdog: Watchdog
        var desk: Desk
    }

    var setting: Setting
    var number: Int
    var source: Source

    private var backing: Backing { setting.backing }
    private var byteCount: Int { setting.pages * backing.pageSize }
    /// Whether threads resolve their own faults where they can. Nothing is protected then.
    private var isInThread: Bool { !(number / 7).isMultiple(of: 2) }
    private var modes: RegistrationModes {
        isInThread ? backing.modes.subtracting(.writeProtect) : backing.modes
    }
    /// Whether the pager is asked to fill the pages before they are touched.
    private var prefetches: Bool { (number / 2).isMultiple(of: 2) == false }
    /// Every so many pages one is copied to a second time.
    private var secondCopyPause: Int { max(setting.pages / 16, 1) }

    /// Serves the memory while threads count in it. Returns it, to be the next source, and what the pager and the threads
    /// did.
    func run() async throws -> (source: Source, tally: Tally) {
        let policies: [WakePolicy] = [.adaptive, .immediate, .endOfTurn]
        let pager = try await Pager(
            on: setting.reactor,
            configuration: .init(
                wakePolicy: policies[number / 3 % policies.count],
                resolution: isInThread ? .inThread : .reactor,
                onFailure: { [desk = setting.desk] in desk.note($0) }))
        setting.desk.pager = pager
        let memory =
            backing.isShared
            ? try SharedMemory(byteCount: byteCount, hugePages: backing.isHuge) : nil
        let filling = memory.map { SharedFilling($0, from: source) }
        let styles = BounceHandler.Style.allCases
        let handler = BounceHandler(
            source: source, pages: source.pages, filling: filling, style: styles[number % styles.count],
            movesBuffers: setting.movesBuffers, protects: !isInThread, intruder: setting.intruder)
        let options = RegionOptions(
            name: "\(backing.rawValue) \(number)", failurePolicy: .stop,
            readAhead: (number / 5).isMultiple(of: 2) ? .none : .adaptive, modes: modes,
            usesHugePages: backing.isHuge)
        let region =
            if let memory {
                try await pager.map(memory, handler: handler, options: options)
            } else {
                try await pager.map(byteCount: byteCount, handler: handler, options: options)
            }
        let locks = try await count(in: region, pager, filling)
        let statistics = await settle(pager)
        try check(statistics)
        try await setting.watchdog.watching("the end of bounce \(number)") {
            // Both ways of taking the memory out of service.
            if (number / 4).isMultiple(of: 2) { try await pager.unmap(region) }
            await pager.shutdown()
        }
        try setting.desk.requireNoFailures()
        try setting.shadow.verify(region.range, pageSize: backing.pageSize)
        return (Source(retired: region), Tally(locks: locks, statistics: statistics))
    }

    /// Has the threads count while the pages come, are protected and come; returns how many mutexes were taken.
    private func count(
        in region: Region, _ pager: Pager, _ filling: SharedFilling?
    ) async throws -> UInt64 {
        let orders = Lockers.Order.allCases
        let lockers = try Lockers(
            area: region.range, pageSize: backing.pageSize, shadow: setting.shadow, threads: setting.threads,
            order: orders[number % orders.count], seed: setting.seed &+ UInt64(number) &* 7919)
        let touched = Touched()
        let watched = watch(lockers)
        let half = setting.pages / 2
        try await touch(0..<half, of: region, filling, touched)
        if half > 0, !isInThread {
            let front = AddressRange(start: region.range.start, byteCount: half * backing.pageSize)
            try await pager.protect(region, front)
        }
        try await touch(half..<setting.pages, of: region, nil, touched)
        // All pages are there: what is left are writes to protected ones.
        for _ in 0..<2 {
            if !isInThread { try await pager.protect(region) }
            await lockers.waitForMore(than: UInt64(min(setting.pages, 2048)))
        }
        lockers.stop()
        let corruptions = await setting.toucher.run { lockers.join() }
        setting.watchdog.forget(watched)
        if let found = corruptions.first {
            throw Failure.corrupt(
                "Page \(found.page) of \(setting.pages) was corrupt when its mutex was held: \(found.seen) in place of "
                    + "\(found.expected).")
        }
        return lockers.counts.reduce(0, +)
    }

    /// Touches pages one after the other on a thread of its own, as the kernel's background thread copies them: after a
    /// prefetch, or without. Shared memory is filled ahead through its second mapping, where `filling` is given.
    private func touch(
        _ pages: Range<Int>, of region: Region, _ filling: SharedFilling?, _ touched: Touched
    ) async throws {
        let (size, pause) = (backing.pageSize, secondCopyPause)
        let (intruder, start) = (setting.intruder, source.range.start)
        let watched = setting.watchdog.watch("toucher") { touched.count.load(ordering: .relaxed) }
        defer { setting.watchdog.forget([watched]) }
        if prefetches {
            let range = AddressRange(
                start: region.range.start + UInt(pages.lowerBound * size), byteCount: pages.count * size)
            if !range.isEmpty {
                try await region.prefetch(range) { progress in
                    touched.count.add(UInt64(progress.requestedPages + 1), ordering: .relaxed)
                }
            }
        }
        try await setting.toucher.run { () throws(Failure) in
            for page in pages {
                if !prefetches { _ = filling?.fill(page) }
                _ = region.load(fromByteOffset: page * size, as: UInt8.self)
                if page % pause == 0 {
                    let range = AddressRange(start: region.range.start + UInt(page * size), byteCount: size)
                    try intruder.installAgain(range, from: start + UInt(page * size))
                }
                touched.count.add(1, ordering: .relaxed)
            }
        }
    }

    private func watch(_ lockers: Lockers) -> [Int] {
        let watchdog = setting.watchdog
        return (0..<setting.threads).map { thread in
            watchdog.watch("locker \(thread)") { lockers.counts[thread] }
        }
    }

    /// Waits until nothing is in flight: what nobody waits for any more may still be.
    private func settle(_ pager: Pager) async -> PagerStatistics {
        await setting.watchdog.watching("the last answers of bounce \(number)") {
            while true {
                let statistics = await pager.statistics
                if statistics.inFlightPages == 0 { return statistics }
                await Task.yield()
            }
        }
    }

    private func check(_ statistics: PagerStatistics) throws(Failure) {
        let isRight =
            statistics.presentPages == setting.pages && statistics.failures == 0 && statistics.strays == 0
            && statistics.poisonedPages == 0
        guard isRight else {
            throw .failed(
                "The pager's counts are wrong after all \(setting.pages) pages were touched: \(statistics).")
        }
    }
}

/// How many pages the thread that goes ahead has touched.
private final class Touched: Sendable {
    let count = Atomic<UInt64>(0)
}

extension Lockers {
    /// Waits until the threads together have taken `count` mutexes more, or one has seen what should not be.
    fileprivate func waitForMore(than count: UInt64) async {
        let goal = counts.reduce(count, +)
        while counts.reduce(0, +) < goal, !hasFoundCorruption { try? await Task.sleep(for: .milliseconds(1)) }
    }
}
