import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// Holes are made, which another thread could fill: exit tests.
@Suite(
    "Mappings that go", .requiresUserfaultfd(anyBacking.union(mappingEvents)), .timeLimit(.minutes(5)))
struct UnmapCases {
    @Test("41. munmap-under-waiter", arguments: Backing.all)
    func unmapUnderWaiter(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkUnmapUnderWaiter(backing)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("46. unmap", arguments: Backing.all)
    func unmap(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkUnmaps(backing)
        }
        withExtendedLifetime(pages) {}
    }
}

@Suite("Processes that end", .requiresUserfaultfd(ending), .timeLimit(.minutes(5)))
struct EndingCases {
    // Nobody need read for a process to end or to run something else.
    @Test("46. exit and exec are silent", arguments: [false, true])
    func silence(byExec: Bool) async throws {
        await #expect(processExitsWith: .success) { [byExec = byExec as Bool] in
            let made = ctest_make_orphan_with(UInt64(SystemPage.size), 0, ending.rawValue, byExec ? 1 : 0)
            try #require(made.fd >= 0)
            let orphan = Userfaultfd(adopting: made.fd, features: ending)
            #expect(ctest_poll_now(made.fd) == 0)
            var batch = EventBatch(capacity: 1)
            #expect(try batch.read(from: orphan) == 0)
            let range = AddressRange(start: UInt(made.address), byteCount: SystemPage.size)
            #expect(orphan.zero(range) == .gone(.process))
        }
    }
}

private let ending: Features = [.forkEvents, .unmapEvents, .remapEvents, .removeEvents]

private func checkUnmapUnderWaiter(_ backing: Backing) throws {
    ctest_catch_faults()
    let scene = try Scene(backing, pages: 3)
    var batch = EventBatch(capacity: 1)
    let reader = try scene.parkedReader(1, &batch)
    #expect(ctest_munmap(UInt64(scene.area.address(1)), UInt64(backing.pageSize)) == 0)
    #expect(scene.copy(1) == .gone(.range))
    #expect(try scene.served.waiting == 1)
    try scene.wake(1)
    #expect(reader.join() == -Int64(SIGSEGV))
}

private func checkUnmaps(_ backing: Backing) throws {
    let scene = try Scene(backing, pages: 8, features: mappingEvents)
    let (area, size) = (scene.area.keep(), backing.pageSize)
    var batch = EventBatch(capacity: 1)
    // All that the caller unmapped, also what was not registered; and it is gone already.
    let over = Worker(ctest_task_munmap, area.address(7), 2 * size)
    try eventually { over.sleepsIn == eventWait }
    #expect(!isMapped(area.address(7), backing))
    #expect(try batch.next(from: scene.served) == .unmap(area.pages(7, 2)))
    #expect(batch.count == 1)
    #expect(over.join() == 0)

    // One message, though these are two mappings.
    #expect(area.advise(area.pages(4), Advice.dontFork) == 0)
    let two = Worker(ctest_task_munmap, area.address(4), 3 * size)
    #expect(try batch.next(from: scene.served) == .unmap(area.pages(4, 3)))
    #expect(two.join() == 0)
    #expect(try batch.read(from: scene.served.uffd) == 0)

    // What is mapped over is not registered any more.
    let mapper = Worker(ctest_task_map_over, area.address(3), size)
    #expect(try batch.next(from: scene.served) == .unmap(area.pages(3)))
    #expect(mapper.join() == Int64(area.address(3)))
    #expect(registration(area.address(3)) == [])

    let shrinker = Worker(ctest_task_mremap, area.start, 3 * size, size)
    #expect(try batch.next(from: scene.served) == .unmap(area.pages(1, 2)))
    #expect(shrinker.join() == Int64(area.start))
    #expect(!isMapped(area.address(1), backing))
    #expect(scene.copy(0) == .whole)
    #expect(area.page(0, is: 1))
}
