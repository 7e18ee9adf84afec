import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Moving", .requiresUserfaultfd(.move), .timeLimit(.minutes(5)))
struct MoveCases {
    @Test("7. move")
    func smallPages() async throws {
        try await move(by: SystemPage.size, source: Advice.noHugePage, destination: Advice.noHugePage)
    }

    // Where no huge page can be had, the same is moved as 512 small ones.
    @Test("8. move-pmd")
    func hugePages() async throws {
        try await move(by: Backing.hugePageSize, source: Advice.hugePage, destination: Advice.hugePage)
    }

    @Test("9. move-pmd-split")
    func splitHugePages() async throws {
        try await move(by: Backing.hugePageSize, source: Advice.hugePage, destination: Advice.noHugePage)
    }

    /// Answers each missing read by moving `unit` bytes of the same offset.
    private func move(by unit: Int, source sourceAdvice: CInt, destination advice: CInt) async throws {
        let pages = Backing.anonymous.manyPages
        let (source, area) = (try Area(pages: pages), try Area(pages: pages))
        // What is shared with a child cannot be moved.
        #expect(source.advise(source.whole, Advice.dontFork) == 0)
        #expect(source.advise(source.whole, sourceAdvice) == 0)
        #expect(area.advise(area.whole, advice) == 0)
        source.fill()
        let served = try Served(area)
        let monitor = Monitor(served) { fault, uffd in
            let offset = (fault.address - area.start) & ~UInt(unit - 1)
            let range = AddressRange(start: area.start + offset, byteCount: unit)
            var outcome = Outcome.again
            // Who inspects physical pages, as compaction and DAMON do, holds each for a moment.
            for _ in 0..<1_000 {
                outcome = uffd.move(from: source.start + offset, to: range, options: .allowSourceHoles)
                guard outcome.errno == .busy else { break }
                _ = ctest_pause(10_000)
            }
            return outcome
        }
        #expect(Worker.walk(area).join() == -1)
        let counts = await monitor.stop()
        #expect(counts == Monitor.Counts(missing: pages * SystemPage.size / unit))
        let zeroes = Worker.walk(source, options: ctest_walk_zero.rawValue).join()
        #expect(zeroes == -1, "the source still has page \(zeroes)")
    }

    @Test("52. move EBUSY after fork")
    func busyAfterFork() async {
        await #expect(processExitsWith: .success) {
            let (source, area) = (try Area(), try Area())
            source.fill()
            let served = try Served(area)
            let child = Child(ctest_child_wait)
            let number = CInt(child.fork().join())
            try #require(number > 0)
            try #require(child.waitUntilReady())
            func move(_ page: Int) -> Outcome {
                served.uffd.move(from: source.address(page), to: area.pages(page))
            }
            #expect(move(0).errno == .busy)
            child.letGo()
            #expect(ctest_wait(number) == 0)
            // The page is not known to be ours alone until it is written.
            #expect(move(0).errno == .busy)
            source.store(0, 99)
            #expect(move(0) == .whole)
            #expect(area.word(0) == 99)
        }
    }

    @Test("52. move ALLOW_SRC_HOLES loop")
    func holesLoop() throws {
        let (source, area) = (try Area(), try Area())
        #expect(source.advise(source.whole, Advice.noHugePage) == 0)
        let served = try Served(area)
        let reader = Worker.peek(area.address(2))
        var batch = EventBatch(capacity: 1)
        for _ in 0..<3 {
            // A hole counts as moved and wakes, and the page is still missing: the thread comes back.
            #expect(try batch.nextFault(from: served).address == area.address(2))
            let moved = served.uffd.move(
                from: source.address(2), to: area.pages(2), options: .allowSourceHoles)
            #expect(moved == .whole)
        }
        _ = try batch.nextFault(from: served)
        #expect(served.uffd.move(from: source.address(2), to: area.pages(2)) == .gone(.range))
        #expect(served.uffd.zero(area.pages(2)) == .whole)
        #expect(reader.join() == 0)
    }
}
