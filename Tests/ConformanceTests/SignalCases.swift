import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Area {
    /// Drops the pages for good: out of the file too, into which even the writes of a private mapping put zeroes.
    func release() -> CInt {
        if backing.isShared { return advise(whole, Advice.remove) }
        let dropped = advise(whole, Advice.dontNeed)
        guard dropped == 0, file >= 0 else { return dropped }
        let emptied = ctest_truncate(file, 0)
        return emptied == 0 ? ctest_truncate(file, UInt64(pageCount * pageSize)) : emptied
    }
}

/// Resolves faults in the signal handler of the thread that takes them: the module's calls allocate nothing and take no lock.
private final class BusServer: Sendable {
    let (area, source, served): (Area, Area, Served)
    private let protects: Bool
    /// A word for each page, the number of its signals, and one more for what went wrong.
    private let marks: Area

    init(_ backing: Backing, protects: Bool) throws {
        area = try Area(backing, pages: backing.manyPages)
        source = try Area(pages: area.pageCount * area.pageSize / SystemPage.size)
        marks = try Area(pages: (area.pageCount + 1) * 8 / SystemPage.size + 1)
        served = try Served(
            area, protects ? [.missing, .writeProtect] : .missing, features: [.sigbus, .forkEvents])
        self.protects = protects
        ctest_fill_pages(UInt64(source.start), UInt64(area.pageCount), UInt64(area.pageSize), 1)
        for page in 0...area.pageCount { setMark(page, 0) }
    }

    func mark(_ page: Int) -> UInt64 { ctest_load(UInt64(marks.start) + UInt64(page * 8)) }
    func setMark(_ page: Int, _ value: UInt64) { ctest_store(UInt64(marks.start) + UInt64(page * 8), value) }
    var failures: UInt64 { mark(area.pageCount) }

    func install() {
        ctest_catch_faults()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        unsafe ctest_on_bus_error(
            { context, address in
                guard let context = unsafe context else { return }
                unsafe Unmanaged<BusServer>.fromOpaque(context).takeUnretainedValue().resolve(UInt(address))
            }, context)
    }

    private func resolve(_ address: UInt) {
        let page = area.index(of: address)
        guard page >= 0, page < area.pageCount else { return ctest_die_of_bus_errors() }
        let signals = mark(page)
        setMark(page, signals + 1)
        let outcome =
            signals == 0
            ? served.uffd.copy(
                from: source.start + UInt(page * area.pageSize), to: area.pages(page),
                options: protects ? .writeProtected : [])
            : served.uffd.writeProtect(area.pages(page), options: [])
        if outcome != .whole { setMark(area.pageCount, failures + 1) }
    }
}

@Suite("Signals and poison", .timeLimit(.minutes(5)))
struct SignalCases {
    @Test("18. sigbus", .requiresUserfaultfd([.sigbus, .forkEvents]), arguments: Backing.all)
    func sigbus(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try await checkSignals(backing, protects: false)
        }
        withExtendedLifetime(pages) {}
    }

    @Test(
        "19. sigbus-wp",
        .requiresUserfaultfd([.sigbus, .forkEvents, .writeProtectFaults, .writeProtectSharedMemory]),
        arguments: Backing.all)
    func sigbusProtected(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try await checkSignals(backing, protects: true)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("22. poison", .requiresUserfaultfd(.poison), arguments: Backing.all)
    func poison(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            ctest_catch_faults()
            let area = try Area(backing, pages: 4)
            let zeroes = try Area(pages: area.pageSize / SystemPage.size)
            zeroes.fill(first: 0)
            ctest_fill_pages(UInt64(zeroes.start), 1, UInt64(area.pageSize), 0)
            let monitor = Monitor(try Served(area)) { fault, uffd in
                let page = area.index(of: fault.address)
                return page % 2 == 1
                    ? uffd.copy(from: zeroes.start, to: area.pages(page)) : uffd.poison(area.pages(page))
            }
            let seen = (0..<4).map { Worker.peek(area.address($0)).join() }
            #expect(seen == [-Int64(SIGBUS), 0, -Int64(SIGBUS), 0])
            #expect(await monitor.stop() == Monitor.Counts(missing: 4))
        }
        withExtendedLifetime(pages) {}
    }
}

private func checkSignals(_ backing: Backing, protects: Bool) async throws {
    let server = try BusServer(backing, protects: protects)
    server.install()
    let monitor = Monitor(server.served)
    let area = server.area
    let walk = Worker.walk(area, options: protects ? ctest_walk_write.rawValue : 0)
    #expect(walk.join() == -1)
    #expect(server.failures == 0)
    let expected: UInt64 = protects ? 2 : 1
    for page in 0..<area.pageCount where server.mark(page) != expected {
        Issue.record("page \(page) had \(server.mark(page)) signals")
        break
    }

    // A child finds nothing, and nobody serves it.
    #expect(area.release() == 0)
    let child = Child(ctest_child_bus_errors, area.start, area.pageCount, area.pageSize)
    let number = CInt(child.fork().join())
    try #require(number > 0)
    #expect(ctest_wait(number) == 0)
    #expect(await monitor.stop() == Monitor.Counts(events: 1))
}
