import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Memory that is dropped, moved, unmapped and registered anew at random, while others look at it; and a model that
/// knows for each page where it is and what it must hold.
private final class Storm: Sendable {
    enum Contents: Hashable {
        /// What the handler of this registration gives.
        case generation(Int)
        case zero
        /// Nothing may be read there.
        case inaccessible
    }

    struct Page {
        var address: UInt
        var contents = Contents.inaccessible
    }

    struct Model {
        /// Odd while something is being changed.
        var version = 0
        var pages: [Page]
        var isOver = false
    }

    static let pageCount = 32
    static let generations = 7
    let model: Lock<Model>
    let pager: Pager
    private let seed: TestSeed
    private let number: UInt64

    init(_ pager: Pager, _ seed: TestSeed, number: Int) {
        self.pager = pager
        self.seed = seed
        self.number = UInt64(number * 1000)
        let space = FreeAddresses(byteCount: Self.pageCount * SystemPage.size).range
        model = Lock(
            Model(pages: (0..<Self.pageCount).map { Page(address: space.start + UInt($0 * SystemPage.size)) })
        )
    }

    /// The first byte of a page as the model has it.
    static func byte(_ page: Int, _ contents: Contents) -> CInt {
        switch contents {
        case .generation(let generation): CInt(1 + generation % generations * pageCount + page)
        case .zero: 0
        case .inaccessible: -SIGSEGV
        }
    }

    // MARK: Looking

    /// Looks at pages until the storm is over; what was wrong.
    func look(_ number: Int) -> [String] {
        var random = TestRandom(seed, stream: self.number + UInt64(number))
        var wrong: [String] = []
        while true {
            let page = random.below(Self.pageCount)
            let (version, state, isOver) = model.withLock { ($0.version, $0.pages[page], $0.isOver) }
            if isOver { return wrong }
            let byte = ctest_try_peek(UInt64(state.address))
            guard version % 2 == 0, model.withLock({ $0.version }) == version else { continue }
            let expected = Self.byte(page, state.contents)
            if byte != expected { wrong.append("page \(page): \(byte), not \(expected) (\(state.contents))") }
            if wrong.count > 5 { return wrong }
        }
    }

    // MARK: Changing

    /// Pages from a random one on that lie one behind the other.
    private func someRun(_ random: inout TestRandom) -> Range<Int> {
        let pages = model.withLock { $0.pages }
        let first = random.below(Self.pageCount)
        let limit = first + 1 + random.below(12)
        var end = first + 1
        while end < min(limit, Self.pageCount),
            pages[end].address == pages[end - 1].address + UInt(SystemPage.size)
        {
            end += 1
        }
        return first..<end
    }

    private func range(_ run: Range<Int>) -> AddressRange {
        let start = model.withLock { $0.pages[run.lowerBound].address }
        return AddressRange(start: start, byteCount: run.count * SystemPage.size)
    }

    private func change(_ body: () async throws -> ((inout Model) -> Void)?) async rethrows {
        model.withLock { $0.version += 1 }
        let update = try await body()
        model.withLock {
            update?(&$0)
            $0.version += 1
        }
    }

    func rage(_ rounds: Int) async throws {
        var random = TestRandom(seed, stream: number + 99)
        for generation in 0..<rounds {
            let run = someRun(&random)
            let range = range(run)
            switch random.below(10) {
            case 0..<4:
                await change {
                    guard Change.advise(range) == 0 else { return nil }
                    return { model in
                        for page in run where model.pages[page].contents != .inaccessible {
                            model.pages[page].contents = .zero
                        }
                    }
                }
            case 4..<6:
                // A refusal in the middle would leave half of it moved: runs of one kind only, which is refused at once.
                let isServed = model.withLock { model in
                    run.allSatisfy { model.pages[$0].contents != .inaccessible }
                }
                guard isServed else { continue }
                let target = FreeAddresses(byteCount: range.byteCount).range.start
                await change {
                    guard Change.move(range, to: target) else { return nil }
                    return { model in
                        for (number, page) in run.enumerated() {
                            model.pages[page].address = target + UInt(number * SystemPage.size)
                        }
                    }
                }
            case 6:
                await change {
                    // The addresses are anybody's now.
                    guard Change.unmap(range) == 0 else { return nil }
                    let space = FreeAddresses(byteCount: range.byteCount).range
                    return { model in
                        for (number, page) in run.enumerated() {
                            model.pages[page] = Page(address: space.start + UInt(number * SystemPage.size))
                        }
                    }
                }
            default:
                try await register(run, range, generation)
            }
            if random.chance(20) { try await pager.reactor.sleep(for: .microseconds(random.below(300))) }
        }
    }

    /// Maps new memory over pages and registers that. Nobody can touch it before it is registered.
    private func register(_ run: Range<Int>, _ range: AddressRange, _ generation: Int) async throws {
        try await change {
            let mapped = ctest_mmap(
                UInt64(range.start), UInt64(range.byteCount), PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1)
            try #require(mapped == Int64(range.start))
            let first = UInt64(1 + generation % Self.generations * Self.pageCount + run.lowerBound)
            let handler =
                random(generation) ? NumberedPages(first: first) as any FaultHandler : Slow(first: first)
            _ = try await unsafe pager.register(unsafeMemoryAt: range, handler: handler)
            try #require(
                ctest_mprotect(UInt64(range.start), UInt64(range.byteCount), PROT_READ | PROT_WRITE) == 0)
            return { model in
                for page in run { model.pages[page].contents = .generation(generation) }
            }
        }
    }

    private func random(_ generation: Int) -> Bool { generation % 3 == 0 }

    struct Slow: FaultHandler {
        let first: UInt64
        func resolve(_ request: FaultRequest) async throws -> Resolution {
            for _ in 0..<request.offset / request.pageSize % 5 { await Task.yield() }
            return try .copy(NumberedPages.buffer(for: request, first: first))
        }
    }
}

@Suite(.requiresUserfaultfd([.remapEvents, .removeEvents, .unmapEvents, .poison]), .timeLimit(.minutes(5)))
struct EventStormTests {
    /// In a process of its own, since there are signals to catch.
    @Test
    func `whatever happens to memory, it holds what its handler gave or zero, and the right one of these`()
        async
    {
        await #expect(processExitsWith: .success) {
            ctest_catch_faults()
            let seed = TestSeed()
            let log = FailureLog()
            let configuration = Pager.Configuration(
                onFailure: { log.add($0) }, events: [.remap, .remove, .unmap])
            try await withPager(configuration) { pager in
                let storms = (1...2).map { Storm(pager, seed, number: $0) }
                let watchers = storms.flatMap { storm in
                    (0..<2).map { number in FaultingThread { storm.look(number) } }
                }
                await withTaskGroup { group in
                    for storm in storms {
                        group.addTask {
                            do { try await storm.rage(1500) } catch { Issue.record("\(error), \(seed)") }
                            storm.model.withLock { $0.isOver = true }
                        }
                    }
                }
                for watcher in watchers {
                    let wrong = await watcher.value
                    #expect(wrong == [], "\(wrong) \(seed)")
                }
                for storm in storms {
                    let pages = storm.model.withLock { $0.pages }
                    let reader = FaultingThread { pages.map { ctest_try_peek(UInt64($0.address)) } }
                    let expected = pages.enumerated().map { Storm.byte($0, $1.contents) }
                    let found = await reader.value
                    #expect(found == expected, "\(found) \(seed)")
                }
                let failures = log.failures.map { "\($0.error)" }
                #expect(failures == [], "\(failures) \(seed)")
                let left = await pager.statistics.inFlightPages
                #expect(left == 0, "\(left) \(seed)")
            }
        }
    }
}

@Suite(.requiresUserfaultfd([.removeEvents, .unmapEvents], kernelFaults: true), .timeLimit(.minutes(5)))
struct EventShutdownTests {
    let page = SystemPage.size

    @Test(arguments: [false, true])
    func `shutdown frees everyone while pages are dropped all the time`(withDeadline: Bool) async throws {
        try await withPager(Pager.Configuration(events: [.remove, .unmap])) { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let waiting = try await pager.map(byteCount: 8 * page, handler: handler)
            let dropped = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            let threads = (0..<4).map { number in
                FaultingThread {
                    MemoryProbe.readThroughKernel(
                        waiting.range.start + UInt(number * SystemPage.size), count: 1)
                }
            }
            try await eventually { await pager.statistics.inFlightPages == 4 }
            let isOver = Lock(false)
            let dropper = FaultingThread {
                var count = 0
                while !isOver.withLock({ $0 }), Change.advise(dropped.range) == 0 {
                    count += 1
                    // Nothing can be filled while a drop is under way; the sanitizers' runtimes leave hardly any time between.
                    if TestProcess.hasSanitizer { _ = ctest_pause(1_000_000) }
                }
                return count
            }
            try await eventually { await pager.statistics.events > 10 }
            if withDeadline {
                await pager.shutdown(within: .milliseconds(20))
                for thread in threads { #expect(await thread.value == nil) }
            } else {
                async let closed: Void = pager.shutdown(within: .seconds(200))
                while await pager.isServing { await Task.yield() }
                gate.open()
                for (number, thread) in threads.enumerated() {
                    #expect(await thread.value == [UInt8(number + 1)])
                }
                await closed
            }
            gate.open()
            isOver.withLock { $0 = true }
            #expect(await dropper.value > 10)
        }
    }

    @Test func `nobody who causes an event waits for a pager that is gone`() async throws {
        for _ in 0..<20 {
            try await withPager(Pager.Configuration(events: [.remove, .unmap])) { pager in
                let region = try await pager.map(byteCount: 64 * page, handler: NumberedPages(first: 1))
                let droppers = (0..<3).map { number in
                    FaultingThread {
                        (0..<50).allSatisfy { _ in
                            Change.advise(region.addresses(number * 8..<number * 8 + 8)) == 0
                        }
                    }
                }
                await pager.shutdown()
                for dropper in droppers { #expect(await dropper.value) }
            }
        }
    }

    /// Replacing memory that nobody supplied is an unmapping itself.
    @Test func `a large region is sealed without waiting for oneself`() async throws {
        try await withPager(Pager.Configuration(events: .unmap)) { pager in
            let region = try await pager.map(byteCount: 1 << 38, handler: NumberedPages(first: 1))
            let middle = UInt(1 << 37)
            #expect(await words(region.range.start + middle, 1) == [UInt64(middle) / UInt64(page) + 1])
            try await pager.unmap(region)
            #expect(MemoryProbe.readThroughKernel(region.range.start, count: 1) == nil)
            #expect(MemoryProbe.readThroughKernel(region.range.end - 8, count: 1) == nil)
            #expect(await words(region.range.start + middle, 1) == [UInt64(middle) / UInt64(page) + 1])
            // Its message is owed to nobody.
            try await eventually { await pager.statistics.events == 2 }
            let next = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 7))
            #expect(await words(next.range.start, 4) == [7, 8, 9, 10])
        }
    }
}
