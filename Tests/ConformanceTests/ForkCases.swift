import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// Each in a process of its own: while such a descriptor exists, every fork of its process sends it a message.
@Suite("Forks", .requiresUserfaultfd(anyBacking.union(.forkEvents)), .timeLimit(.minutes(5)))
struct ForkCases {
    @Test("47. fork", arguments: Backing.all)
    func fork(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkFork(backing)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("47. fork, EMFILE and again")
    func withoutDescriptor() async {
        await #expect(processExitsWith: .success) {
            try checkWithoutDescriptor()
        }
    }

    // Nobody is to be served there: its missing pages are ordinary memory.
    @Test("47. fork, closed child descriptor", arguments: Backing.all)
    func closed(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkClosed(backing)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("47. fork, not by posix_spawn")
    func spawn() async {
        await #expect(processExitsWith: .success) {
            let scene = try Scene(features: .forkEvents)
            let spawner = Worker(ctest_task_posix_spawn)
            #expect(spawner.join() == 0)
            var batch = EventBatch(capacity: 1)
            #expect(try batch.read(from: scene.served.uffd) == 0)
        }
    }

    // The C library's fork holds the locks of malloc until the message is read. A reader that allocates waits for ever.
    // Sanitizers hold locks of their own then, which their versions of read and poll want.
    @Test("48. fork-malloc")
    func allocating() async {
        await #expect(processExitsWith: .success) {
            try checkAllocating()
        }
    }
}

private func checkFork(_ backing: Backing) throws {
    let scene = try Scene(backing, pages: 3, features: .forkEvents)
    let descriptor = scene.served.uffd.fileDescriptor
    // A child's descriptor is as this one was made, not as it was changed.
    #expect(ctest_set_blocking(descriptor) == 0)
    #expect(ctest_clear_close_on_exec(descriptor) == 0)
    let child = Child(ctest_child_peek, scene.area.address(1))
    let forker = child.fork()
    try eventually { forker.sleepsIn == eventWait }
    #expect(forker.state == "D")
    #expect(scene.copy(2) == .again)
    #expect(forker.isDone == false)

    var batch = EventBatch(capacity: 1)
    guard case .fork(let number) = try batch.next(from: scene.served) else {
        throw Unexpected(event: batch[0])
    }
    #expect(ctest_is_nonblocking(number) != 0)
    #expect(ctest_is_close_on_exec(number) != 0)
    #expect(ctest_set_nonblocking(descriptor) == 0)
    let process = CInt(forker.join())
    guard let taken = batch.takeFork(at: 0) else { throw Unexpected(event: batch[0]) }
    let own = Served(adopting: taken)

    // The child's fault comes there, and nowhere else.
    #expect(try batch.nextFault(from: own).address == scene.area.address(1))
    #expect(try scene.served.waiting == 0)
    let source = scene.source.start + UInt(backing.pageSize)
    #expect(own.uffd.copy(from: source, to: scene.area.pages(1)) == .whole)
    #expect(ctest_wait(process) == 2)
    #expect(own.uffd.copy(from: source, to: scene.area.pages(2)) == .gone(.process))
    #expect(scene.copy(1) == (backing.isShared ? .exists : .whole))
}

private func checkWithoutDescriptor() throws {
    let scene = try Scene(features: .forkEvents)
    let child = Child(ctest_child_peek, scene.area.address(1))
    let forker = child.fork()
    try eventually { forker.sleepsIn == eventWait }
    var batch = EventBatch(capacity: 1)
    #expect(ctest_set_descriptor_limit(1) == 0)
    for _ in 0..<2 {
        do throws(UserfaultfdError) {
            let count = try batch.read(from: scene.served.uffd)
            Issue.record("\(count) messages")
        } catch {
            #expect(error.errno == .tooManyFiles)
        }
    }
    #expect(ctest_set_descriptor_limit(1024) == 0)
    #expect(forker.sleepsIn == eventWait)
    #expect(ctest_poll_now(scene.served.uffd.fileDescriptor) == POLLIN)
    #expect(try batch.read(from: scene.served.uffd) == 1)
    batch.closeUnclaimedForks()
    #expect(ctest_wait(CInt(forker.join())) == 0)
}

private func checkClosed(_ backing: Backing) throws {
    let scene = try Scene(backing, pages: 2, features: .forkEvents)
    let child = Child(ctest_child_peek, scene.area.address(1))
    let forker = child.fork()
    var batch = EventBatch(capacity: 1)
    guard case .fork = try batch.next(from: scene.served) else { throw Unexpected(event: batch[0]) }
    batch.closeUnclaimedForks()
    #expect(ctest_wait(CInt(forker.join())) == 0)
    #expect(try scene.served.waiting == 0)
}

private func checkAllocating() throws {
    let (scene, stop) = (try Scene(features: .forkEvents), try Area(pages: 1))
    stop.store(0, 0)
    var batch = EventBatch()
    // What Swift allocates at the first use of a type or function, it has afterwards.
    let early = Worker(ctest_task_raw_fork, 1)
    while !early.isDone {
        _ = ctest_wait_readable(scene.served.uffd.fileDescriptor, 10)
        _ = try batch.read(from: scene.served.uffd)
        batch.closeUnclaimedForks()
    }
    #expect(early.join() == 0)
    let first = Worker(ctest_task_allocate, stop.start)
    let second = Worker(ctest_task_allocate, stop.start)
    let forks = TestProcess.hasSanitizer ? 20 : 200
    let forker = Worker(
        TestProcess.hasSanitizer ? ctest_task_raw_fork : ctest_task_libc_fork, UInt(forks))
    var seen = 0
    while !forker.isDone {
        _ = ctest_wait_readable(scene.served.uffd.fileDescriptor, 10)
        seen += try batch.read(from: scene.served.uffd)
        batch.closeUnclaimedForks()
    }
    #expect(forker.join() == 0)
    #expect(seen == forks)
    stop.store(0, 1)
    #expect(first.join() > 0)
    #expect(second.join() > 0)
}
