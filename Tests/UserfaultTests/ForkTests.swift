import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// Each in a process of its own: while such a descriptor exists, every fork of its process sends it a message.
@Suite(.requiresUserfaultfd(.forkEvents), .timeLimit(.minutes(5)))
struct ForkTests {
    @Test func `the child's faults come by a descriptor of its own`() async {
        await #expect(processExitsWith: .success) {
            let trapped = try Trapped(features: [.forkEvents, .threadID])
            let forker = Deed.forkAndPeek(trapped.memory.address(of: 2))
            var batch = EventBatch(capacity: 1)
            guard case .fork(let number) = try batch.next(from: trapped.descriptor) else {
                Issue.record("no fork: \(batch[0])")
                return
            }
            #expect(ctest_is_close_on_exec(number) != 0)
            let child = CInt(forker.join())
            guard let taken = batch.takeFork(at: 0) else {
                Issue.record("nothing to take")
                return
            }
            #expect(taken.fileDescriptor == number)
            #expect(taken.features == [.forkEvents, .threadID])
            #expect(try taken.status().features == taken.features)
            #expect(batch[0] == .fork(descriptor: -1))
            if batch.takeFork(at: 0) != nil { Issue.record("taken twice") }

            var childBatch = EventBatch(capacity: 1)
            let fault = try childBatch.nextFault(from: taken)
            #expect(fault.address == trapped.memory.address(of: 2))
            #expect(fault.threadID == UInt32(child))
            let page = trapped.memory.pages(2)
            #expect(taken.copy(from: trapped.source.address(of: 6), to: page) == .whole)
            #expect(ctest_wait(child) == 7)
            #expect(taken.copy(from: trapped.source.start, to: page) == .gone(.process))
        }
    }

    @Test func `what nobody takes is closed, and the child goes on`() async {
        await #expect(processExitsWith: .success) {
            let trapped = try Trapped(features: .forkEvents)
            let first = Deed.forkAndPeek(trapped.memory.address(of: 2))
            var batch = EventBatch(capacity: 1)
            guard case .fork(let number) = try batch.next(from: trapped.descriptor) else {
                Issue.record("no fork")
                return
            }
            #expect(try batch.read(from: trapped.descriptor) == 0)
            #expect(ctest_is_open(number) == 0)
            #expect(ctest_wait(CInt(first.join())) == 0)

            let second = Deed.forkAndPeek(trapped.memory.address(of: 2))
            do {
                var dropped = EventBatch(capacity: 1)
                _ = try dropped.next(from: trapped.descriptor)
            }
            #expect(ctest_wait(CInt(second.join())) == 0)
        }
    }

    @Test func `without a free descriptor the message stays`() async {
        await #expect(processExitsWith: .success) {
            let trapped = try Trapped(features: .forkEvents)
            let forker = Deed.forkAndPeek(trapped.memory.address(of: 2))
            try #require(ctest_wait_readable(trapped.descriptor.fileDescriptor, 30_000) == 1)
            var batch = EventBatch(capacity: 1)
            #expect(ctest_set_descriptor_limit(1) == 0)
            do throws(UserfaultfdError) {
                let count = try batch.read(from: trapped.descriptor)
                Issue.record("\(count) messages")
            } catch {
                #expect(error.errno == .tooManyFiles)
                #expect(error.operation == .read)
                #expect(error.description.contains("message is kept"))
            }
            #expect(batch.count == 0)
            #expect(ctest_set_descriptor_limit(1024) == 0)
            #expect(try batch.read(from: trapped.descriptor) == 1)
            batch.closeUnclaimedForks()
            #expect(batch[0] == .fork(descriptor: -1))
            #expect(ctest_wait(CInt(forker.join())) == 0)
        }
    }
}
