import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Minor faults", .requiresUserfaultfd([.minorSharedMemory, .minorHugePages]), .timeLimit(.minutes(5)))
struct MinorCases {
    @Test("15. minor", arguments: Backing.minor)
    func minor(backing: Backing) async throws {
        try await run(Area(backing, pages: backing.manyPages, alias: true), .minor)
    }

    @Test("16. minor-wp", .requiresUserfaultfd(.writeProtectSharedMemory), arguments: Backing.minor)
    func minorProtected(backing: Backing) async throws {
        let area = try Area(backing, pages: backing.manyPages, alias: true)
        try await run(area, [.minor, .writeProtect], options: .writeProtected)
    }

    @Test("17. minor-collapse")
    func minorCollapse() async throws {
        let area = try Area(.shared, pages: Backing.shared.manyPages, alias: true)
        try await run(area, .minor, collapse: true)
    }

    /// Populates through the main mapping, reads through the registered alias; the handler turns every bit, and continues.
    private func run(
        _ area: Area, _ modes: RegistrationModes, options: ContinueOptions = [], collapse: Bool = false
    ) async throws {
        let served = try Served()
        _ = try served.uffd.register(area.wholeAlias, modes: modes)
        area.fill()
        let monitor = Monitor(served) { fault, uffd in
            let page = Int(fault.address - area.aliasStart) / area.pageSize
            ctest_invert_page(UInt64(area.address(page)), UInt64(area.pageSize))
            let outcome = uffd.mapExisting(area.aliasPages(page), options: options)
            let again = uffd.mapExisting(area.aliasPages(page), options: options)
            return again == .exists ? outcome : again
        }
        let wrong = Worker.walk(area, at: area.aliasStart, options: ctest_walk_invert.rawValue).join()
        #expect(wrong == -1, "page \(wrong)")
        #expect(await monitor.stop() == Monitor.Counts(minor: area.pageCount))
        guard collapse else { return }

        // Wanted where the system is set to huge shared pages on advice, as another case sets it.
        #expect(area.advise(area.wholeAlias, Advice.hugePage) == 0)
        let collapsed = area.advise(area.wholeAlias, Advice.collapse)
        try #require(collapsed == 0, "MADV_COLLAPSE answers \(collapsed)")
        var runs = PageRuns()
        let scan = try PagemapScanner().scan(
            area.wholeAlias, requiring: .huge, returning: .huge, into: &runs)
        #expect(scan.runCount == 1)
        #expect(runs[0] == PageRun(range: area.wholeAlias, categories: .huge))
        #expect(
            Worker.walk(area, at: area.aliasStart, options: ctest_walk_invert.rawValue).join() == -1)
    }

    @Test("51. minor absent page silent", arguments: Backing.minor)
    func absentPage(backing: Backing) throws {
        let area = try Area(backing, pages: 3, alias: true)
        let served = try Served()
        _ = try served.uffd.register(area.wholeAlias, modes: .minor)
        #expect(served.uffd.mapExisting(area.aliasPages(1)).errno == .badAddress)
        // No page in the cache: a zero page, and no message.
        #expect(Worker.peek(area.alias(1)).join() == 0)
        #expect(try served.pending == 0)
        area.store(2, 5)
        let reader = Worker.peek(area.alias(2))
        var batch = EventBatch(capacity: 1)
        #expect(try batch.nextFault(from: served).kind == .minor)
        #expect(served.uffd.mapExisting(area.aliasPages(2)) == .whole)
        #expect(reader.join() == 5)
    }
}
