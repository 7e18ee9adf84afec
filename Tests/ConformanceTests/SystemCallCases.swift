import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Signals and system calls", .requiresUserfaultfd(anyBacking), .timeLimit(.minutes(5)))
struct SystemCallCases {
    // Handlers are of the whole process: exit tests.
    @Test("42. signal-duplicates", .requiresUserfaultfd(.threadID), arguments: Backing.all)
    func duplicates(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkDuplicates(backing)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("42. signal-spin", .requiresKernelFaults, arguments: Backing.all)
    func spinning(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkSpinning(backing)
        }
        withExtendedLifetime(pages) {}
    }

    // System calls get no signal, only an error.
    @Test("43. sigbus-syscall-EFAULT", .requiresUserfaultfd(.sigbus), arguments: Backing.all)
    func sigbus(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, features: .sigbus)
        try checkRefused(scene)
        #expect(ctest_peek_by_system_call(UInt64(scene.area.address(0))) == -EFAULT)
    }

    @Test("43. user-mode-only-EFAULT", arguments: Backing.all)
    func userModeOnly(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, trying: [.userModeOnly])
        try checkRefused(scene)
        // Faults of user mode are served as ever.
        var batch = EventBatch(capacity: 1)
        let reader = try scene.parkedReader(0, &batch)
        #expect(scene.copy(0) == .whole)
        #expect(reader.join() == 1)
    }

    private func checkRefused(_ scene: Scene) throws {
        let address = scene.area.address(1)
        #expect(ctest_peek_by_system_call(UInt64(address)) == -EFAULT)
        let page = UInt64(scene.area.pageSize)
        #expect(ctest_madvise(UInt64(address), page, Advice.populateRead) == -EFAULT)
        #expect(ctest_mlock(UInt64(address), page) == -ENOMEM)
        #expect(try scene.served.waiting == 0)
        #expect(scene.copy(1) == .whole)
        #expect(ctest_peek_by_system_call(UInt64(address)) == 0)
        #expect(ctest_madvise(UInt64(address), page, Advice.populateRead) == 0)
    }

    @Test(
        "44. kernel-fault read(2)", .requiresKernelFaults, .requiresUserfaultfd(.threadID),
        arguments: Backing.all)
    func systemCall(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, features: .threadID)
        var ends: [CInt] = [0, 0]
        var batch = EventBatch(capacity: 1)
        try #require(unsafe ctest_pipe(&ends) == 0)
        defer { ends.forEach { _ = ctest_close($0) } }
        #expect(ctest_write_byte(ends[1], 77) == 0)
        // Into the last byte of a page: message and address are as those of an access.
        let last = scene.area.address(1) + UInt(backing.pageSize) - 1
        let reader = Worker(ctest_task_read_into, UInt(ends[0]), Int(last), 1)
        let fault = try batch.nextFault(from: scene.served)
        #expect(fault.kind == .missing && fault.isWrite)
        #expect(fault.threadID == reader.threadID)
        #expect(fault.address == last & ~UInt(scene.area.pageSize - 1))
        try reader.waitUntilParked()
        #expect(scene.copy(1) == .whole)
        #expect(reader.join() == 1)
        #expect(ctest_peek(UInt64(last)) == 77)
        #expect(scene.area.word(1) == 2)
    }
}

private func checkDuplicates(_ backing: Backing) throws {
    ctest_count_signal(SIGUSR1)
    let scene = try Scene(backing, pages: 2, features: .threadID)
    var batch = EventBatch(capacity: 1)
    let reader = scene.reader(1)
    let fault = Fault(
        address: scene.area.address(1), kind: .missing, isWrite: false, threadID: reader.threadID)
    #expect(try batch.nextFault(from: scene.served) == fault)
    for _ in 0..<3 {
        // The handler runs, the access is tried again: the same message once more.
        reader.signal(SIGUSR1)
        #expect(try batch.nextFault(from: scene.served) == fault)
        #expect(batch.count == 1)
    }
    #expect(try scene.served.waiting == 1)
    #expect(scene.copy(1) == .whole)
    // An answer to each: the later ones are about what is there.
    #expect(scene.copy(1) == .exists)
    #expect(reader.join() == 2)
    // The thread sanitizer holds signals back from their handlers.
    #expect(ctest_signal_count() == 3 || TestProcess.hasSanitizer)
}

private func checkSpinning(_ backing: Backing) throws {
    ctest_count_signal(SIGUSR1)
    let scene = try Scene(backing, pages: 2)
    var ends: [CInt] = [0, 0]
    var batch = EventBatch(capacity: 1)
    #expect(unsafe ctest_pipe(&ends) == 0)
    #expect(ctest_write_byte(ends[1], 77) == 0)
    let reader = Worker(ctest_task_read_into, UInt(ends[0]), Int(scene.area.address(1)), 1)
    #expect(try batch.nextFault(from: scene.served).address == scene.area.address(1))
    try reader.waitUntilParked()
    let before = reader.runTime
    reader.signal(SIGUSR1)
    // It cannot return with the signal pending, nor sleep: it faults again and again.
    try eventually { reader.runTime > before + 20_000_000 }
    #expect(reader.isDone == false)
    var seen = 0
    try eventually {
        seen += try batch.read(from: scene.served.uffd)
        return seen >= 3
    }
    #expect(ctest_signal_count() == 0, "the handler runs when the call is over")
    #expect(scene.copy(1) == .whole)
    #expect(reader.join() == 1)
    #expect(ctest_signal_count() == 1)
    #expect(ctest_peek(UInt64(scene.area.address(1))) == 77)
}
