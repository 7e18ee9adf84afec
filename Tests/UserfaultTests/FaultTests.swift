import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct FaultTests {
    @Test func `a read of a missing page`() throws {
        let trapped = try Trapped()
        let reader = Deed.peek(trapped.memory.address(of: 3) + 123)
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault == Fault(address: trapped.memory.address(of: 3), kind: .missing, isWrite: false))
        #expect(trapped.copy(3) == .whole)
        _ = reader.join()
    }

    @Test func `a write to a missing page`() throws {
        let trapped = try Trapped()
        let writer = Deed.poke(trapped.memory.address(of: 3), 9)
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault.kind == .missing)
        #expect(fault.isWrite)
        #expect(fault.threadID == nil)
        #expect(trapped.zero(3) == .whole)
        _ = writer.join()
        #expect(trapped.memory.peek(3) == 9)
    }

    @Test(.requiresUserfaultfd([.threadID, .exactAddress]))
    func `the thread and the byte are named where that is enabled`() throws {
        let trapped = try Trapped(features: [.threadID, .exactAddress])
        let address = trapped.memory.address(of: 3) + 123
        let reader = Deed.peek(address)
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault.address == address)
        #expect(fault.threadID == reader.threadID)
        #expect(trapped.copy(3) == .whole)
        _ = reader.join()
    }

    @Test(.requiresUserfaultfd([.minorSharedMemory]), arguments: [false, true])
    func `a page that is only in the page cache`(isWrite: Bool) throws {
        let trapped = try Trapped(.shared, modes: .minor)
        trapped.memory.fillFile(1, 42)
        let address = trapped.memory.address(of: 1)
        let thread = isWrite ? Deed.poke(address, 43) : Deed.peek(address)
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault == Fault(address: address, kind: .minor, isWrite: isWrite))
        #expect(trapped.descriptor.mapExisting(trapped.memory.pages(1)) == .whole)
        _ = thread.join()
        #expect(trapped.memory.peek(1) == (isWrite ? 43 : 42))
    }

    @Test(.requiresUserfaultfd([], kernelFaults: true))
    func `a fault inside a system call`() throws {
        let trapped = try Trapped()
        let thread = Deed.systemCall(reading: trapped.memory.address(of: 1))
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault.address == trapped.memory.address(of: 1))
        #expect(trapped.copy(1) == .whole)
        #expect(thread.join() == 0)
    }

    @Test func `for user mode only, a system call fails instead`() throws {
        let memory = Memory()
        let descriptor = try Userfaultfd(trying: [.userModeOnly])
        #expect(descriptor.access == .userModeOnly)
        _ = try descriptor.register(memory.whole, modes: .missing)
        #expect(ctest_peek_by_system_call(UInt64(memory.start)) == -EFAULT)
    }

    @Test func `one read brings a message for every thread, up to the batch's room`() throws {
        let trapped = try Trapped()
        let address = trapped.memory.address(of: 2)
        let first = Deed.peek(address)
        let second = Deed.peek(address)
        let third = Deed.peek(address)
        try eventually { try trapped.descriptor.status().pending == 3 }
        var small = EventBatch(capacity: 2)
        #expect(try small.read(from: trapped.descriptor) == 2)
        #expect(try trapped.descriptor.status().pending == 1)
        #expect(try trapped.descriptor.status().total == 3)
        #expect(try small.read(from: trapped.descriptor) == 1)
        #expect(try small.read(from: trapped.descriptor) == 0)
        #expect(small.count == 0)
        #expect(trapped.copy(2) == .whole)
        #expect(first.join() == 1)
        #expect(second.join() == 1)
        #expect(third.join() == 1)
        #expect(try trapped.descriptor.status().total == 0)
    }

    @Test func `a wake without a page brings the message again`() throws {
        let trapped = try Trapped()
        let reader = Deed.peek(trapped.memory.address(of: 2))
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        try trapped.descriptor.wake(trapped.memory.pages(2))
        #expect(try batch.nextFault(from: trapped.descriptor) == fault)
        #expect(trapped.copy(2) == .whole)
        #expect(reader.join() == 1)
    }

    @Test(.requiresUserfaultfd(.sigbus))
    func `in bus error mode there are no messages`() throws {
        let trapped = try Trapped(features: .sigbus)
        #expect(ctest_peek_by_system_call(UInt64(trapped.memory.address(of: 1))) == -EFAULT)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.read(from: trapped.descriptor) == 0)
        #expect(trapped.copy(1) == .whole)
        #expect(trapped.memory.peek(1) == 1)
    }
}
