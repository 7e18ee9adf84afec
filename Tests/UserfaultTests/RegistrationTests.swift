import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// One call of ``Userfaultfd/register(_:modes:)``, `unregister` or `wake` on fresh memory, and what it throws.
struct CallRow: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let kind: Memory.Kind
    /// nil: succeeds.
    let errno: Errno?
    let call: @Sendable (borrowing Userfaultfd, Memory) throws(UserfaultfdError) -> Void

    init(
        _ name: String, on kind: Memory.Kind = .anonymous, _ errno: Errno?,
        _ call: @escaping @Sendable (borrowing Userfaultfd, Memory) throws(UserfaultfdError) -> Void
    ) {
        testDescription = name
        self.kind = kind
        self.errno = errno
        self.call = call
    }

    func check(operation: UserfaultfdError.Operation) throws {
        let descriptor = try Userfaultfd()
        let memory = Memory(kind)
        do throws(UserfaultfdError) {
            try call(descriptor, memory)
            #expect(errno == nil, "it succeeded")
        } catch {
            #expect(error.errno == errno, "\(error)")
            #expect(error.operation == operation)
            #expect(error.range != nil)
            #expect(!error.advice.isEmpty)
        }
    }
}

@Suite(.requiresUserfaultfd([.missingSharedMemory, .missingHugePages]), .timeLimit(.minutes(1)))
struct RegistrationTests {
    @Test(arguments: registerRows)
    func `register answers as the kernel does`(row: CallRow) throws {
        try row.check(operation: .register)
    }

    @Test(arguments: unregisterRows)
    func `unregister answers as the kernel does`(row: CallRow) throws {
        try row.check(operation: .unregister)
    }

    @Test(arguments: wakeRows)
    func `wake answers as the kernel does`(row: CallRow) throws {
        try row.check(operation: .wake)
    }

    @Test func `registering says what may be done`() throws {
        let descriptor = try Userfaultfd()
        let (small, large) = (Memory(), Memory(pages: 1, .hugePages))
        let anonymous = try descriptor.register(small.whole, modes: .missing)
        #expect(anonymous.allows([.wake, .copy, .zero]))
        #expect(!anonymous.allows(.mapExisting))
        let huge = try descriptor.register(large.whole, modes: .missing)
        #expect(huge.allows([.wake, .copy]))
        #expect(!huge.allows(.zero))
    }

    // In a process of its own, because elsewhere another thread may fill the hole.
    @Test func `holes in the range are skipped`() async {
        await #expect(processExitsWith: .success) {
            let memory = Memory()
            let hole = memory.pages(3, 2)
            #expect(ctest_munmap(UInt64(hole.start), UInt64(hole.byteCount)) == 0)
            let descriptor = try Userfaultfd()
            _ = try descriptor.register(memory.whole, modes: .missing)
            #expect(descriptor.zero(memory.pages(0)) == .whole)
            #expect(descriptor.zero(memory.pages(2, 2)) == .gone(.range))
            #expect(descriptor.zero(memory.pages(5)) == .whole)
            try descriptor.unregister(memory.whole)
        }
    }

    @Test func `what is supplied by another descriptor wakes only that one's waiters`() throws {
        let trapped = try Trapped()
        let reader = Deed.peek(trapped.memory.address(of: 1))
        try eventually { try trapped.descriptor.status().pending == 1 }
        let other = try Userfaultfd()
        let page = trapped.memory.pages(1)
        #expect(other.copy(from: trapped.source.start, to: page) == .whole)
        #expect(try trapped.descriptor.status().total == 1)
        #expect(trapped.copy(1) == .exists)
        try trapped.descriptor.wake(page)
        #expect(reader.join() == 1)
    }

    @Test func `a range of another descriptor is busy`() throws {
        let trapped = try Trapped()
        let other = try Userfaultfd()
        let range = trapped.memory.pages(3)
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try other.register(range, modes: .missing)
        }
        #expect(error?.errno == .busy)
        #expect(error?.range == range)
    }

    // Waiters for missing pages are woken by the kernel, the others only by us.
    @Test(.requiresUserfaultfd(.writeProtectFaults))
    func `unregister wakes those who wait for protection`() throws {
        let trapped = try Trapped(modes: .writeProtect)
        trapped.memory.poke(0, 1)
        #expect(trapped.descriptor.writeProtect(trapped.memory.whole, options: .protect) == .whole)
        let writer = Deed.poke(trapped.memory.address(of: 0), 2)
        try eventually { try trapped.descriptor.status().pending == 1 }
        try trapped.descriptor.unregister(trapped.memory.whole)
        _ = writer.join()
        #expect(trapped.memory.peek(0) == 2)
    }

    @Test func `closing lets everyone go, with zeroes`() throws {
        let memory = Memory()
        let descriptor = try Userfaultfd()
        _ = try descriptor.register(memory.whole, modes: .missing)
        let reader = Deed.peek(memory.start)
        try eventually { try descriptor.status().pending == 1 }
        descriptor.close()
        #expect(reader.join() == 0)
    }

    @Test func `dontWake leaves the thread asleep until the wake`() throws {
        let trapped = try Trapped()
        let reader = Deed.peek(trapped.memory.address(of: 2))
        var batch = EventBatch()
        _ = try batch.nextFault(from: trapped.descriptor)
        #expect(trapped.copy(2, options: .dontWake) == .whole)
        #expect(try trapped.descriptor.status().total == 1)
        #expect(trapped.copy(2) == .exists)
        #expect(try trapped.descriptor.status().total == 1, "a copy that fails wakes nobody")
        try trapped.descriptor.wake(trapped.memory.pages(2))
        #expect(reader.join() == 1)
    }
}

private let registerRows: [CallRow] = [
    CallRow("no modes", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: [])
    },
    CallRow("unknown mode", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: RegistrationModes(rawValue: 8))
    },
    CallRow("start not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.pages(0).shifted, modes: .missing)
    },
    CallRow("length not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.pages(0).ragged, modes: .missing)
    },
    CallRow("length 0", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole.emptied, modes: .missing)
    },
    CallRow("beyond user memory", .invalidArgument) { fd, _ throws(UserfaultfdError) in
        _ = try fd.register(kernelRange, modes: .missing)
    },
    CallRow("over the end of user memory", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole.wrapping, modes: .missing)
    },
    CallRow("nothing mapped", .invalidArgument) { fd, _ throws(UserfaultfdError) in
        _ = try fd.register(neverMapped, modes: .missing)
    },
    CallRow("minor on anonymous memory", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: .minor)
    },
    CallRow("an ordinary file", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        let binary = unsafe ctest_open_read_only("/proc/self/exe")
        let size = UInt64(SystemPage.size)
        let mapped = ctest_mmap(UInt64(memory.start), size, PROT_READ, MAP_PRIVATE | MAP_FIXED, binary)
        precondition(mapped > 0 && ctest_close(binary) == 0)
        _ = try fd.register(memory.pages(0), modes: .missing)
    },
    CallRow("huge: start on a small page", on: .hugePages, .invalidArgument) {
        fd, memory throws(UserfaultfdError) in
        let start = memory.start + UInt(SystemPage.size)
        _ = try fd.register(AddressRange(start: start, byteCount: memory.pageSize), modes: .missing)
    },
    CallRow("huge: end on a small page", on: .hugePages, .invalidArgument) {
        fd, memory throws(UserfaultfdError) in
        _ = try fd.register(
            AddressRange(start: memory.start, byteCount: SystemPage.size), modes: .missing)
    },
    CallRow("shared memory that was opened read-only", on: .shared, .notPermitted) {
        fd, memory throws(UserfaultfdError) in
        let file = ctest_reopen_read_only(memory.file)
        let length = UInt64(memory.byteCount)
        let mapped = ctest_mmap(UInt64(memory.start), length, PROT_READ, MAP_SHARED | MAP_FIXED, file)
        precondition(mapped > 0 && ctest_close(file) == 0)
        _ = try fd.register(memory.whole, modes: .missing)
    },
    CallRow("shared memory that is sealed", on: .anonymous, .notPermitted) {
        fd, memory throws(UserfaultfdError) in
        let length = UInt64(memory.byteCount)
        let file = ctest_memfd(length)
        precondition(ctest_seal_writes(file) == 0)
        let mapped = ctest_mmap(UInt64(memory.start), length, PROT_READ, MAP_SHARED | MAP_FIXED, file)
        precondition(mapped > 0 && ctest_close(file) == 0)
        _ = try fd.register(memory.whole, modes: .missing)
    },
    CallRow("read-only memory", nil) { fd, memory throws(UserfaultfdError) in
        memory.protect(memory.whole, PROT_READ)
        _ = try fd.register(memory.whole, modes: .missing)
    },
    CallRow("inaccessible memory", nil) { fd, memory throws(UserfaultfdError) in
        memory.protect(memory.whole, PROT_NONE)
        _ = try fd.register(memory.whole, modes: .missing)
    },
    CallRow("the same again", nil) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: .missing)
        _ = try fd.register(memory.whole, modes: .missing)
    },
]

private let unregisterRows: [CallRow] = [
    CallRow("start not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.unregister(memory.pages(0).shifted)
    },
    CallRow("length not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.unregister(memory.pages(0).ragged)
    },
    CallRow("length 0", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.unregister(memory.whole.emptied)
    },
    CallRow("nothing mapped", .invalidArgument) { fd, _ throws(UserfaultfdError) in
        try fd.unregister(neverMapped)
    },
    CallRow("huge: a small page", on: .hugePages, .invalidArgument) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: .missing)
        let start = memory.start + UInt(SystemPage.size)
        try fd.unregister(AddressRange(start: start, byteCount: memory.pageSize))
    },
    CallRow("never registered", nil) { fd, memory throws(UserfaultfdError) in
        try fd.unregister(memory.whole)
    },
    CallRow("the middle", nil) { fd, memory throws(UserfaultfdError) in
        _ = try fd.register(memory.whole, modes: .missing)
        try fd.unregister(memory.pages(3, 2))
    },
]

private let wakeRows: [CallRow] = [
    CallRow("start not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.wake(memory.pages(0).shifted)
    },
    CallRow("length not aligned", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.wake(memory.pages(0).ragged)
    },
    CallRow("length 0", .invalidArgument) { fd, memory throws(UserfaultfdError) in
        try fd.wake(memory.whole.emptied)
    },
    CallRow("beyond user memory", .invalidArgument) { fd, _ throws(UserfaultfdError) in
        try fd.wake(kernelRange)
    },
    CallRow("never registered", nil) { fd, memory throws(UserfaultfdError) in
        try fd.wake(memory.whole)
    },
    CallRow("nothing mapped", nil) { fd, _ throws(UserfaultfdError) in
        try fd.wake(neverMapped)
    },
]
