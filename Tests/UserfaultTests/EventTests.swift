import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Messages about the address space, really provoked on memory of the test's own.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct EventTests {
    @Test(.requiresUserfaultfd(.removeEvents))
    func `dropping pages is told, and fills wait for it`() throws {
        let trapped = try Trapped(features: .removeEvents)
        #expect(trapped.copy(0, 4) == .whole)
        let dropped = trapped.memory.pages(1, 2)
        let thread = Deed.dropPages(dropped)
        try #require(ctest_wait_readable(trapped.descriptor.fileDescriptor, 30_000) == 1)

        // From here until the message was read and the thread went on, nothing can be filled.
        #expect(trapped.copy(5) == .again)
        #expect(trapped.zero(5) == .again)
        let range = trapped.memory.pages(5)
        let kernel = trapped.descriptor.availableFeatures
        if kernel.contains(.poison) { #expect(trapped.descriptor.poison(range) == .again) }
        if kernel.contains(.move) {
            #expect(trapped.descriptor.move(from: trapped.source.start, to: range) == .again)
        }
        #expect(trapped.descriptor.writeProtect(range, options: .protect) == .again)
        #expect(trapped.descriptor.mapExisting(range) == .again)
        try trapped.descriptor.wake(range)

        var batch = EventBatch(capacity: 1)
        #expect(try batch.next(from: trapped.descriptor) == .remove(dropped))
        #expect(thread.join() == 0)
        #expect(trapped.copy(5) == .whole)
        #expect(trapped.zero(1) == .whole)
        #expect(trapped.zero(0) == .exists)
    }

    @Test(.requiresUserfaultfd(.unmapEvents))
    func `unmapping is told`() throws {
        let trapped = try Trapped(features: .unmapEvents)
        let gone = trapped.memory.pages(2, 3)
        let thread = Deed.unmap(gone)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.next(from: trapped.descriptor) == .unmap(gone))
        #expect(thread.join() == 0)
        #expect(trapped.copy(1) == .whole)
    }

    @Test(.requiresUserfaultfd(.remapEvents))
    func `moving a mapping is told, and the registration moves along`() throws {
        let trapped = try Trapped(features: .remapEvents)
        let target = Memory()
        let thread = Deed.moveMapping(trapped.memory.whole, to: target.start)
        var batch = EventBatch(capacity: 1)
        let byteCount = trapped.memory.byteCount
        let expected = Event.remap(from: trapped.memory.start, to: target.start, byteCount: byteCount)
        #expect(try batch.next(from: trapped.descriptor) == expected)
        #expect(thread.join() == Int64(target.start))
        let copied = trapped.descriptor.copy(from: trapped.source.start, to: target.pages(0))
        #expect(copied == .whole)
        #expect(target.peek(0) == 1)
    }

    @Test(.requiresUserfaultfd(.removeEvents))
    func `faults are read before events`() throws {
        let trapped = try Trapped(features: .removeEvents)
        let dropper = Deed.dropPages(trapped.memory.pages(0))
        try #require(ctest_wait_readable(trapped.descriptor.fileDescriptor, 30_000) == 1)
        let reader = Deed.peek(trapped.memory.address(of: 4))
        try eventually { try trapped.descriptor.status().pending == 1 }
        var batch = EventBatch()
        #expect(try batch.read(from: trapped.descriptor) == 2)
        var seen: [Event] = []
        batch.forEach { seen.append($0) }
        let fault = Fault(address: trapped.memory.address(of: 4), kind: .missing, isWrite: false)
        #expect(seen == [.fault(fault), .remove(trapped.memory.pages(0))])
        #expect(dropper.join() == 0)
        #expect(trapped.copy(4) == .whole)
        #expect(reader.join() == 1)
    }
}
