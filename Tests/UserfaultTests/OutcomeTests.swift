import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// What each call answers in which case is a table of the conformance tests. Here is what it does to the pages.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct OutcomeTests {
    @Test func `what is copied is what is there`() throws {
        let trapped = try Trapped()
        #expect(trapped.copy(2, 3) == .whole)
        #expect(trapped.memory.peek(2) == 1)
        #expect(trapped.memory.peek(3) == 2)
        #expect(trapped.memory.peek(4) == 3)
    }

    @Test func `the copy goes on where it stopped`() throws {
        let trapped = try Trapped()
        #expect(trapped.zero(2) == .whole)
        guard case .partial(let bytesDone) = trapped.copy(0, 4) else {
            Issue.record("not partial")
            return
        }
        let rest = trapped.memory.pages(0, 4).droppingFirst(bytes: bytesDone)
        #expect(rest == trapped.memory.pages(2, 2))
        let again = trapped.descriptor.copy(from: trapped.source.address(of: 2), to: rest)
        #expect(again == .exists)
        #expect(trapped.memory.peek(1) == 2)
        #expect(trapped.memory.peek(2) == 0)
    }

    @Test(.requiresUserfaultfd(.poison))
    func `a poisoned page fails its readers until it is copied`() throws {
        let trapped = try Trapped()
        #expect(trapped.descriptor.poison(trapped.memory.pages(1)) == .whole)
        let address = UInt64(trapped.memory.address(of: 1))
        #expect(ctest_peek_by_system_call(address) == -EFAULT)
        #expect(trapped.zero(1) == .exists)
        #expect(trapped.copy(1) == .whole)
        #expect(trapped.memory.peek(1) == 1)
    }

    @Test(.requiresUserfaultfd(.poison))
    func `touching a poisoned page is a bus error`() async {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            ctest_die_of_bus_errors()
            let trapped = try Trapped()
            #expect(trapped.descriptor.poison(trapped.memory.pages(1)) == .whole)
            _ = trapped.memory.peek(1)
        }
    }

    @Test(.requiresUserfaultfd([.minorSharedMemory, .missingSharedMemory]))
    func `mapExisting shows what was put behind the mapping`() throws {
        let trapped = try Trapped(.shared, modes: [.missing, .minor])
        trapped.memory.fillFile(2, 77)
        #expect(trapped.operations.contains(.mapExisting))
        #expect(trapped.descriptor.mapExisting(trapped.memory.pages(2)) == .whole)
        #expect(trapped.memory.peek(2) == 77)
    }

    @Test(.requiresUserfaultfd(.move))
    func `a moved page leaves a hole behind`() throws {
        let trapped = try Trapped()
        let target = trapped.memory.pages(2)
        #expect(trapped.descriptor.move(from: trapped.source.address(of: 5), to: target) == .whole)
        #expect(trapped.memory.peek(2) == 6)
        #expect(trapped.source.peek(5) == 0)
    }

    @Test(.requiresUserfaultfd(.writeProtectFaults))
    func `a write waits until the protection is lifted`() throws {
        let trapped = try Trapped(modes: .writeProtect)
        trapped.memory.poke(1, 5)
        #expect(trapped.descriptor.writeProtect(trapped.memory.whole, options: .protect) == .whole)
        let writer = Deed.poke(trapped.memory.address(of: 1), 6)
        var batch = EventBatch(capacity: 1)
        let fault = try batch.nextFault(from: trapped.descriptor)
        #expect(fault.kind == .writeProtect)
        #expect(fault.isWrite)
        #expect(fault.address == trapped.memory.address(of: 1))
        #expect(trapped.memory.peek(1) == 5)
        #expect(trapped.descriptor.writeProtect(trapped.memory.pages(1), options: []) == .whole)
        _ = writer.join()
        #expect(trapped.memory.peek(1) == 6)
    }
}
