import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// What each call answers in which case is a table of the conformance tests.
@Suite(.requiresUserfaultfd([.missingSharedMemory, .missingHugePages]), .timeLimit(.minutes(5)))
struct RegistrationTests {
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
}
