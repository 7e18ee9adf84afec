import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Unregistering and closing", .requiresUserfaultfd(anyBacking), .timeLimit(.minutes(5)))
struct ClosingCases {
    @Test("39. close-wakes-all", .requiresUserfaultfd(.removeEvents), arguments: Backing.all)
    func closing(backing: Backing) throws {
        let area = try Area(backing, pages: 4)
        let uffd = try Userfaultfd(requiring: .removeEvents)
        _ = try uffd.register(area.whole, modes: .missing)
        let read = Worker.peek(area.address(1))
        try eventually { try uffd.status().pending == 1 }
        var batch = EventBatch()
        #expect(try batch.read(from: uffd) == 1)
        let unread = Worker.peek(area.address(2))
        try eventually { try uffd.status().pending == 1 }
        let dropper = Worker.advise(area.address(3), backing.pageSize, Advice.dontNeed)
        try eventually { dropper.sleepsIn == eventWait }
        uffd.close()
        // Zeroes that nobody gave.
        #expect(read.join() == 0)
        #expect(unread.join() == 0)
        #expect(dropper.join() == 0)
        #expect(!mappingFlags(area.start).contains("um"))
    }

    @Test("39. close-with-dup", arguments: Backing.all)
    func closingWithDuplicate(backing: Backing) throws {
        let area = try Area(backing, pages: 3)
        let uffd = try Userfaultfd()
        _ = try uffd.register(area.whole, modes: .missing)
        let duplicate = ctest_duplicate(uffd.fileDescriptor)
        try #require(duplicate >= 0)
        let first = Worker.peek(area.address(1))
        try first.waitUntilParked()
        uffd.close()
        #expect(mappingFlags(area.start).contains("um"))
        let second = Worker.peek(area.address(2))
        try eventually { try UserfaultfdStatus(ofDescriptor: duplicate).pending == 2 }
        #expect(first.isDone == false)
        #expect(ctest_close(duplicate) == 0)
        #expect(first.join() == 0)
        #expect(second.join() == 0)
    }

    // The module's own reads never block.
    @Test("39. close-with-blocked-reader", arguments: Backing.all)
    func closingWithReader(backing: Backing) throws {
        let area = try Area(backing, pages: 2)
        let uffd = try Userfaultfd()
        _ = try uffd.register(area.whole, modes: .missing)
        #expect(ctest_set_blocking(uffd.fileDescriptor) == 0)
        let reader = Worker(ctest_task_raw_read, UInt(uffd.fileDescriptor), 32)
        try eventually { reader.sleepsIn.hasPrefix("userfaultfd") }
        uffd.close()
        #expect(mappingFlags(area.start).contains("um"))
        #expect(reader.isDone == false)
        // The fault still goes to the reader; with its return the file ends, and the region with it.
        let toucher = Worker.peek(area.address(1))
        #expect(reader.join() == 32)
        #expect(toucher.join() == 0)
        #expect(!mappingFlags(area.start).contains("um"))
    }

    // The module's unregister wakes as well; so the kernel is asked directly.
    @Test("40. unregister-wp-needs-wake", .requiresUserfaultfd(anyProtection), arguments: Backing.all)
    func unregisterProtected(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, modes: .writeProtect)
        let uffd = scene.served.uffd.fileDescriptor
        scene.area.store(1, 7)
        #expect(scene.served.uffd.writeProtect(scene.area.whole, options: .protect) == .whole)
        let writer = Worker.poke(scene.area.address(1), 8)
        try eventually { try scene.served.pending == 1 }
        let (at, length) = (UInt64(scene.area.start), UInt64(scene.area.whole.byteCount))
        #expect(ctest_raw_unregister(uffd, at, length) == 0)
        #expect(try scene.served.waiting == 1)
        #expect(!mappingFlags(scene.area.start).contains("uw"))
        try scene.wake(1)
        #expect(writer.join() == 0)
        #expect(scene.area.word(1) == 8)
    }

    @Test(
        "40. unregister-minor-needs-wake", .requiresUserfaultfd([.minorSharedMemory, .minorHugePages]),
        arguments: Backing.minor)
    func unregisterMinor(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, alias: true, modes: .minor)
        ctest_store(UInt64(scene.area.alias(1)), 9)
        let reader = scene.reader(1)
        try eventually { try scene.served.pending == 1 }
        let (at, length) = (UInt64(scene.area.start), UInt64(scene.area.whole.byteCount))
        #expect(ctest_raw_unregister(scene.served.uffd.fileDescriptor, at, length) == 0)
        #expect(try scene.served.waiting == 1)
        try scene.wake(1)
        #expect(reader.join() == 9)
    }

    @Test("40. unregistering what has missing wakes", arguments: Backing.all)
    func unregisterMissing(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2)
        let reader = scene.reader(1)
        try eventually { try scene.served.pending == 1 }
        let (at, length) = (UInt64(scene.area.start), UInt64(scene.area.whole.byteCount))
        #expect(ctest_raw_unregister(scene.served.uffd.fileDescriptor, at, length) == 0)
        #expect(reader.join() == 0)
        #expect(try scene.served.waiting == 0)
    }

    @Test("49. re-register subset no-op", .requiresUserfaultfd(anyProtection), arguments: Backing.all)
    func registerAgain(backing: Backing) throws {
        let scene = try Scene(backing, pages: 2, modes: [.missing, .writeProtect])
        func register(_ modes: RegistrationModes) throws -> [Substring] {
            _ = try scene.served.uffd.register(scene.area.whole, modes: modes)
            return registration(scene.area.start)
        }
        #expect(try register([.missing, .writeProtect]) == ["um", "uw"])
        #expect(try register(.missing) == ["um", "uw"], "a subset changes nothing")
        #expect(try register(.writeProtect) == ["um", "uw"])
        try scene.served.uffd.unregister(scene.area.whole)
        // What is no subset replaces.
        #expect(try register(.missing) == ["um"])
        #expect(try register(.writeProtect) == ["uw"])
        #expect(scene.copy(1, options: .writeProtected) == .whole)
        #expect(try register(.missing) == ["um"])
        // The bits of the pages stay. They keep nobody from writing, but where pages are huge: there the kernel tries the access
        // again and again, without a message, until the protection is lifted.
        #expect(try isProtected(scene.area.address(1)))
        let writer = Worker.poke(scene.area.address(1), 9)
        if backing.isHuge {
            #expect(try register(.writeProtect) == ["uw"])
            #expect(scene.served.uffd.writeProtect(scene.area.whole, options: []) == .whole)
        }
        #expect(writer.join() == 0)
        #expect(try scene.served.waiting == 0)
    }
}
