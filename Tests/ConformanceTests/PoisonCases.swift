import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Poison, and processes that are gone", .timeLimit(.minutes(5)))
struct PoisonCases {
    // Bus errors are caught for the whole process: an exit test.
    @Test(
        "53. poison then copy un-poisons", .requiresUserfaultfd(anyBacking.union(.poison)),
        arguments: Backing.all)
    func heals(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkHealing(backing)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("53. ESRCH and ENOMEM after exit, no HUP", .requiresUserfaultfd([.poison, .move]))
    func exited() async {
        await #expect(processExitsWith: .success) {
            try checkExited()
        }
    }

    @Test(
        "56. hugetlb alignment EINVALs", .requiresHugePages,
        .requiresUserfaultfd(anyBacking.union(anyProtection).union([.poison, .minorHugePages])),
        arguments: Backing.huge)
    func alignment(backing: Backing) throws {
        let scene = try Scene(backing, pages: 4, modes: [.missing, .minor, .writeProtect])
        let (served, small) = (scene.served, UInt(SystemPage.size))
        let page = scene.area.pages(1)
        let wrong = [
            AddressRange(start: page.start + small, byteCount: page.byteCount),
            AddressRange(start: page.start, byteCount: page.byteCount + SystemPage.size),
            AddressRange(start: page.start, byteCount: SystemPage.size),
        ]
        for range in wrong {
            #expect(served.uffd.copy(from: scene.source.start, to: range).errno == .invalidArgument)
            #expect(served.uffd.mapExisting(range).errno == .invalidArgument)
            #expect(served.uffd.poison(range).errno == .invalidArgument)
            #expect(served.uffd.writeProtect(range, options: .protect).errno == .invalidArgument)
            let registering = #expect(throws: UserfaultfdError.self) {
                _ = try served.uffd.register(range, modes: .missing)
            }
            #expect(registering?.errno == .invalidArgument)
            let unregistering = #expect(throws: UserfaultfdError.self) { try served.uffd.unregister(range) }
            #expect(unregistering?.errno == .invalidArgument)
            try served.uffd.wake(range)
        }
        // There are no huge zero pages, and none is moved.
        #expect(served.uffd.zero(page).errno == .invalidArgument)
        #expect(served.uffd.move(from: scene.source.start, to: page).errno == .invalidArgument)
        // Whoever touches the huge page waits at its start, and a wake of the small page there is enough.
        var batch = EventBatch(capacity: 1)
        let reader = Worker.peek(page.start + small)
        #expect(try batch.nextFault(from: scene.served).address == page.start)
        #expect(scene.copy(1, options: .dontWake) == .whole)
        try served.uffd.wake(
            AddressRange(start: page.start + small, byteCount: page.byteCount - SystemPage.size))
        #expect(try served.waiting == 1)
        try served.uffd.wake(AddressRange(start: page.start, byteCount: SystemPage.size))
        #expect(reader.join() == 2)
    }
}

private func checkHealing(_ backing: Backing) throws {
    ctest_catch_faults()
    let scene = try Scene(backing, pages: 2)
    let (served, page) = (scene.served, scene.area.pages(1))
    var batch = EventBatch(capacity: 1)
    let reader = try scene.parkedReader(1, &batch)
    #expect(served.uffd.poison(page) == .whole)
    #expect(reader.join() == -Int64(SIGBUS))
    #expect(served.uffd.poison(page) == .exists)
    // Into a file a zero page heals as well; there are no huge ones.
    if backing == .anonymous || backing == .privateFile { #expect(served.uffd.zero(page) == .exists) }
    #expect(scene.copy(1) == .whole)
    #expect(scene.reader(1).join() == 2)
    #expect(served.uffd.poison(page) == .exists)
    // Dropped with the pages.
    #expect(served.uffd.poison(scene.area.pages(0)) == .whole)
    #expect(scene.area.advise(scene.area.pages(0), Advice.dontNeed) == 0)
    #expect(served.uffd.poison(scene.area.pages(0)) == .whole)
    #expect(try batch.read(from: served.uffd) == 0)
}

private func checkExited() throws {
    let made = ctest_make_orphan(UInt64(4 * SystemPage.size), 0)
    try #require(made.fd >= 0)
    let orphan = Userfaultfd(adopting: made.fd, features: [])
    let range = AddressRange(start: UInt(made.address), byteCount: SystemPage.size)
    let source = try Area.words(1, of: SystemPage.size)
    #expect(orphan.copy(from: source.start, to: range) == .gone(.process))
    #expect(orphan.zero(range) == .gone(.process))
    #expect(orphan.poison(range) == .gone(.process))
    #expect(orphan.mapExisting(range) == .gone(.process))
    #expect(orphan.writeProtect(range, options: .protect) == .gone(.process))
    #expect(orphan.move(from: source.start, to: range).errno == .invalidArgument)
    let registering = #expect(throws: UserfaultfdError.self) {
        _ = try orphan.register(range, modes: .missing)
    }
    #expect(registering?.errno == .noMemory)
    #expect(registering?.description.contains("process has exited") == true)
    let unregistering = #expect(throws: UserfaultfdError.self) { try orphan.unregister(range) }
    #expect(unregistering?.errno == .noMemory)
    try orphan.wake(range)
    // Nothing tells of the end.
    #expect(ctest_poll_now(made.fd) == 0)
    var batch = EventBatch(capacity: 1)
    #expect(try batch.read(from: orphan) == 0)
}
