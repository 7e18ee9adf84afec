import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

let mappingEvents: Features = [.unmapEvents, .remapEvents]

// Holes are made, which another thread could fill: exit tests.
@Suite(
    "Mappings that move", .requiresUserfaultfd(anyBacking.union(mappingEvents).union(anyProtection)),
    .timeLimit(.minutes(5)))
struct RemapCases {
    @Test("46. remap", arguments: Backing.all)
    func remap(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkMoves(backing)
        }
        withExtendedLifetime(pages) {}
    }

    // Mappings of huge pages neither grow nor stay behind.
    @Test("46. remap that grows, or leaves the old range", arguments: Backing.small)
    func grow(backing: Backing) async throws {
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkGrowth(backing)
            try checkLeftBehind(backing)
        }
    }

    @Test("46. remap without events drops the registration", arguments: Backing.all)
    func dropped(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkWithoutEvents(backing)
        }
        withExtendedLifetime(pages) {}
    }
}

private func checkMoves(_ backing: Backing) throws {
    ctest_catch_faults()
    let scene = try Scene(backing, pages: 4, modes: [.missing, .writeProtect], features: mappingEvents)
    let (area, length) = (scene.area.keep(), 4 * backing.pageSize)
    let target = try Area(backing, pages: 4).keep()
    var batch = EventBatch(capacity: 1)
    #expect(scene.copy(0) == .whole)
    #expect(scene.copy(1, options: .writeProtected) == .whole)
    let waiter = try scene.parkedReader(2, &batch)

    let mover = Worker(ctest_task_mremap, area.start, length, length, Int(mayMove | fixed), Int(target.start))
    try eventually { mover.sleepsIn == eventWait }
    #expect(target.page(0, is: 1))
    #expect(!isMapped(area.start, backing))
    #expect(scene.copy(3) == .again)
    let moved = Event.remap(from: area.start, to: target.start, byteCount: length)
    #expect(try batch.next(from: scene.served) == moved)
    #expect(try batch.next(from: scene.served) == .unmap(area.whole))
    #expect(mover.join() == Int64(target.start))

    #expect(registration(target.start) == ["um", "uw"])
    #expect(try isProtected(target.address(1)))
    let reader = Worker.peek(target.address(3))
    #expect(try batch.nextFault(from: scene.served).address == target.address(3))
    #expect(scene.served.uffd.copy(from: scene.source.start, to: target.pages(3)) == .whole)
    #expect(reader.join() == 1)

    // Who waited at the old place is still there.
    #expect(try scene.served.waiting == 1)
    try scene.wake(2)
    #expect(waiter.join() == -Int64(SIGSEGV))
}

private func checkGrowth(_ backing: Backing) throws {
    let (area, target) = (try Area(backing, pages: 12).keep(), try Area(backing, pages: 12).keep())
    let (served, size) = (try Served(mappingEvents), backing.pageSize)
    #expect(ctest_munmap(UInt64(area.address(4)), UInt64(8 * size)) == 0)
    _ = try served.uffd.register(area.pages(0, 4), modes: .missing)

    // In place: nobody is told, and the new pages are registered.
    let grower = Worker(ctest_task_mremap, area.start, 4 * size, 8 * size)
    try eventually { grower.isDone }
    #expect(grower.join() == Int64(area.start))
    var batch = EventBatch(capacity: 1)
    #expect(try batch.read(from: served.uffd) == 0)
    #expect(served.uffd.zero(area.pages(3, 5)) == .whole)

    let mover = Worker(
        ctest_task_mremap, area.start, 8 * size, 12 * size, Int(mayMove | fixed), Int(target.start))
    let moved = Event.remap(from: area.start, to: target.start, byteCount: 8 * size)
    #expect(try batch.next(from: served) == moved)
    #expect(try batch.next(from: served) == .unmap(area.pages(0, 8)))
    #expect(mover.join() == Int64(target.start))
    #expect(served.uffd.zero(target.pages(8, 4)) == .whole)
    #expect(served.uffd.zero(target.pages(7)) == .exists)
}

private func checkLeftBehind(_ backing: Backing) throws {
    let scene = try Scene(backing, pages: 4, features: mappingEvents)
    let (area, length) = (scene.area.keep(), 4 * backing.pageSize)
    let target = try Area(backing, pages: 4).keep()
    #expect(scene.copy(0) == .whole)
    let flags = mayMove | fixed | dontUnmap
    let mover = Worker(ctest_task_mremap, area.start, length, length, Int(flags), Int(target.start))
    var batch = EventBatch(capacity: 1)
    let moved = Event.remap(from: area.start, to: target.start, byteCount: length)
    #expect(try batch.next(from: scene.served) == moved)
    #expect(mover.join() == Int64(target.start))
    #expect(try batch.read(from: scene.served.uffd) == 0)
    #expect(registration(area.start) == ["um"])
    #expect(registration(target.start) == ["um"])
    #expect(target.page(0, is: 1))
    #expect(scene.copy(3) == .whole)
    #expect(area.page(3, is: 4))
}

/// `MREMAP_MAYMOVE`, `MREMAP_FIXED`, `MREMAP_DONTUNMAP`
private let (mayMove, fixed, dontUnmap): (CInt, CInt, CInt) = (1, 2, 4)

private func checkWithoutEvents(_ backing: Backing) throws {
    let scene = try Scene(backing, pages: 2, modes: [.missing, .writeProtect])
    let target = try Area(backing, pages: 2)
    #expect(scene.copy(1, options: .writeProtected) == .whole)
    let length = UInt64(2 * backing.pageSize)
    let moved = ctest_mremap(UInt64(scene.area.start), length, UInt64(target.start))
    #expect(moved == Int64(target.start))
    #expect(registration(target.start) == [])
    #expect(try !isProtected(target.address(1)))
    #expect(target.page(0, is: 0))
    #expect(target.page(1, is: 2))
    #expect(try scene.served.waiting == 0)
}
