import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// The kernel's module for pinning pages, or why it is not there.
let hasPinModule = unsafe access("/sys/kernel/debug/gup_test", R_OK | W_OK) == 0
/// What io_uring answers where the module is not there.
let canPinOtherwise: Bool = {
    guard let area = try? Area(pages: 1) else { return false }
    area.store(0, 1)
    let pin = ctest_pin_by_io_uring(UInt64(area.start), UInt64(area.pageSize))
    if pin >= 0 { ctest_unpin(pin) }
    return pin >= 0
}()
let noPinning: Comment = "needs a kernel with CONFIG_GUP_TEST, or io_uring, to pin pages"

// Forks are for exit tests: they would make the pages of other tests shared.
@Suite("Write-protection and forks", .requiresUserfaultfd(forking), .timeLimit(.minutes(5)))
struct WriteProtectForkCases {
    @Test("10. wp-fork", arguments: Backing.all)
    func fork(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkZapped(backing, events: false)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("11. wp-fork-with-event", arguments: Backing.all)
    func forkWithEvent(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkZapped(backing, events: true)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("12. wp-fork-pin", .enabled(if: hasPinModule || canPinOtherwise, noPinning), arguments: Backing.all)
    func pin(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkPinned(backing, events: false)
            try checkPinnedInChild(backing, events: false)
        }
        withExtendedLifetime(pages) {}
    }

    @Test(
        "13. wp-fork-pin-with-event", .enabled(if: hasPinModule || canPinOtherwise, noPinning),
        arguments: Backing.all)
    func pinWithEvent(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkPinned(backing, events: true)
        }
        withExtendedLifetime(pages) {}
    }

    // io_uring pins for writing, which would wait for the protection to be lifted: this takes the kernel's own module.
    @Test(
        "13. wp-fork-pin-with-event, pinned in the child",
        .enabled(if: hasPinModule, "needs a kernel with CONFIG_GUP_TEST (/sys/kernel/debug/gup_test)"),
        arguments: Backing.all)
    func pinInChildWithEvent(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkPinnedInChild(backing, events: true)
        }
        withExtendedLifetime(pages) {}
    }
}

private let forking: Features = [.writeProtectFaults, .writeProtectSharedMemory, .forkEvents]

/// A protected page, and children whose bit of it is looked at.
private struct ForkScene {
    let area: Area
    let served: Served
    let events: Bool

    init(_ backing: Backing, events: Bool) throws {
        area = try Area(backing, pages: 2)
        served = try Served(area, .writeProtect, features: events ? .forkEvents : [])
        self.events = events
        area.store(0, 1)
    }

    func protect() throws {
        #expect(served.uffd.writeProtect(area.pages(0), options: .protect) == .whole)
        #expect(try isProtected(area.start))
    }

    /// Forks, and reads the bit from the child's pagemap.
    func bitInChild(_ child: Child = Child(ctest_child_wait)) throws -> Bool {
        let forker = child.fork()
        var batch = EventBatch(capacity: 1)
        if events {
            guard case .fork = try batch.next(from: served) else { throw Unexpected(event: batch[0]) }
        }
        let taken = events ? batch.takeFork(at: 0) : nil
        let number = CInt(forker.join())
        try #require(number > 0)
        try #require(child.waitUntilReady())
        let bit = try isProtected(area.start, ofProcess: number)
        child.letGo()
        let status = ctest_wait(number)
        #expect(status == 0, "the child ended with \(status)")
        switch consume taken {
        case .some(let uffd): #expect(uffd.features == served.uffd.features)
        case .none: break
        }
        return bit
    }

    func pin() throws -> CInt {
        let (at, length) = (UInt64(area.start), UInt64(area.pageSize))
        let pin = hasPinModule ? ctest_pin_by_gup_test(at, length) : ctest_pin_by_io_uring(at, length)
        try #require(pin >= 0, "pinning answers \(pin)")
        return pin
    }
}

private func checkZapped(_ backing: Backing, events: Bool) throws {
    let scene = try ForkScene(backing, events: events)
    try scene.protect()
    #expect(try scene.bitInChild() == events)

    // Without the page-table entry, or (where there is swap) with the page in swap. Huge pages cannot be swapped.
    let zapped = scene.area.advise(scene.area.pages(0), backing.isShared ? Advice.dontNeed : Advice.pageOut)
    #expect(zapped == 0 || backing == .hugePrivate)
    #expect(try isProtected(scene.area.start))
    #expect(try scene.bitInChild() == events)

    #expect(scene.served.uffd.writeProtect(scene.area.pages(0), options: []) == .whole)
    #expect(try !isProtected(scene.area.start))
    #expect(try !scene.bitInChild())
    scene.area.store(0, 2)
    #expect(scene.area.word(0) == 2)
}

/// A pinned page is copied for the child by the fork itself.
private func checkPinned(_ backing: Backing, events: Bool) throws {
    let scene = try ForkScene(backing, events: events)
    let pin = try scene.pin()
    try scene.protect()
    #expect(try scene.bitInChild() == events)
    ctest_unpin(pin)
}

private func checkPinnedInChild(_ backing: Backing, events: Bool) throws {
    let scene = try ForkScene(backing, events: events)
    try scene.protect()
    let child = Child(
        ctest_child_pin_and_wait, scene.area.start, scene.area.pageSize, hasPinModule ? 1 : 0)
    #expect(try scene.bitInChild(child) == events)
}
