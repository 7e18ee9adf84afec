import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct OpeningTests {
    @Test func `opens without blocking, not inherited by exec`() throws {
        let descriptor = try Userfaultfd()
        #expect(ctest_is_nonblocking(descriptor.fileDescriptor) != 0)
        #expect(ctest_is_close_on_exec(descriptor.fileDescriptor) != 0)
        #expect(descriptor.features == [])
        #expect(descriptor.access != nil)
        var batch = EventBatch()
        #expect(try batch.read(from: descriptor) == 0)
    }

    @Test func `the ways are tried in the order given`() throws {
        #expect(try Userfaultfd.probe(trying: [.userModeOnly, .deviceNode]).access == .userModeOnly)
        let capabilities = try Userfaultfd.probe()
        #expect(capabilities.operations.contains([.handshake, .register, .unregister]))
        #expect(capabilities.description.contains("\(capabilities.access)"))
        #expect(try Userfaultfd(requesting: .threadID).access == capabilities.access)
    }

    @Test(.requiresUserfaultfd([.threadID, .exactAddress]))
    func `what is enabled is what was asked for and is there`() throws {
        let unknown = Features(rawValue: 1 << 60)
        let descriptor = try Userfaultfd(requiring: .threadID, requesting: [.exactAddress, unknown])
        #expect(descriptor.features == [.threadID, .exactAddress])
        #expect(descriptor.availableFeatures.isSuperset(of: descriptor.features))
        let status = try descriptor.status()
        #expect(status.features == descriptor.features)
        #expect(status.isEnabled)
        #expect(status.pending == 0)
    }

    @Test func `required features that are missing are named`() throws {
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try Userfaultfd(requiring: Features(rawValue: 1 << 60)).features
        }
        #expect(error?.operation == .handshake)
        #expect(error?.missingFeatures == Features(rawValue: 1 << 60))
        #expect(error?.description.contains("[0x1000000000000000]") == true)
    }

    @Test func `no way to try is an error`() {
        let error = #expect(throws: UserfaultfdError.self) { _ = try Userfaultfd.probe(trying: []) }
        #expect(error?.operation == .open)
        #expect(error?.refusals.isEmpty == true)
    }

    @Test func `a released descriptor stays open and can be adopted`() throws {
        let first = try Userfaultfd(requesting: .threadID)
        let (features, number) = (first.features, first.release())
        #expect(ctest_is_open(number) != 0)
        let second = try Userfaultfd(adopting: number)
        #expect(second.features == features)
        #expect(second.access == nil)
        #expect(second.fileDescriptor == number)
    }

    @Test func `adopting makes a descriptor non-blocking and close-on-exec`() throws {
        let number = ctest_open_raw()
        try #require(number >= 0)
        #expect(ctest_is_nonblocking(number) == 0)
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try Userfaultfd(adopting: number).features
        }
        #expect(error?.errno == .invalidArgument)
        #expect(error?.operation == .adopt)
        try #require(ctest_is_open(number) != 0, "what is refused is not closed")
        try #require(ctest_enable(number, 0) == 0)
        let descriptor = Userfaultfd(adopting: number, features: [])
        #expect(ctest_is_nonblocking(number) != 0)
        #expect(ctest_is_close_on_exec(number) != 0)
        let memory = Memory()
        _ = try descriptor.register(memory.whole, modes: .missing)
        #expect(descriptor.zero(memory.pages(0)) == .whole)
    }

    @Test func `an adopted descriptor does not block, whatever its former owner does to it`() throws {
        let own = try Userfaultfd(requesting: [])
        let descriptor = try Userfaultfd(adopting: ctest_duplicate(own.fileDescriptor))
        #expect(ctest_set_blocking(own.fileDescriptor) == 0)
        try #require(ctest_is_nonblocking(descriptor.fileDescriptor) == 0)
        var batch = EventBatch()
        #expect(try batch.read(from: descriptor) == 0)
        let memory = Memory()
        _ = try descriptor.register(memory.whole, modes: .missing)
        let thread = Deed.peek(memory.address(of: 0))
        // A blocking one is never readable to poll(2).
        while try batch.read(from: descriptor) == 0 { _ = ctest_pause(100_000) }
        #expect(try batch.read(from: descriptor) == 0)
        #expect(descriptor.zero(memory.pages(0)) == .whole)
        #expect(thread.join() == 0)
    }

    @Test func `before the handshake nothing works`() throws {
        let descriptor = Userfaultfd(adopting: ctest_open_raw(), features: [])
        let memory = Memory()
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try descriptor.register(memory.whole, modes: .missing)
        }
        #expect(error?.errno == .invalidArgument)
        var batch = EventBatch()
        do throws(UserfaultfdError) {
            _ = try batch.read(from: descriptor)
            Issue.record("read succeeded")
        } catch {
            #expect(error.errno == .invalidArgument)
            #expect(error.description.contains("never enabled"))
        }
        #expect(try !descriptor.status().isEnabled)
    }

    @Test func `what is no userfaultfd cannot be adopted`() throws {
        let file = ctest_memfd(4096)
        defer { _ = ctest_close(file) }
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try Userfaultfd(adopting: file).features
        }
        #expect(error?.errno == .invalidArgument)
        let closed = #expect(throws: UserfaultfdError.self) {
            _ = try Userfaultfd(adopting: -1).features
        }
        #expect(closed?.errno == .badDescriptor)
    }

    @Test func `without free descriptors the refusal says so`() async {
        await #expect(processExitsWith: .success) {
            #expect(ctest_set_descriptor_limit(1) == 0)
            // The leak checker of the address sanitizer needs descriptors at exit.
            defer { _ = ctest_set_descriptor_limit(1024) }
            do throws(UserfaultfdError) {
                _ = try Userfaultfd.probe()
                Issue.record("it opened")
            } catch {
                // Who may not open the device at all is told so instead.
                #expect(error.errno == .tooManyFiles)
                #expect(error.refusals.count == 3)
                #expect(error.refusals.last?.errno == .tooManyFiles)
                #expect(error.advice.contains("Raise the limit on open descriptors (ulimit -n)."))
            }
        }
    }
}
