import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Both ways to a descriptor, where they are permitted.
private let ways = [Userfaultfd.Access.deviceNode, .systemCall, .userModeOnly].filter { way in
    do throws(UserfaultfdError) {
        return try Userfaultfd.probe(trying: [way]).access == way
    } catch {
        return false
    }
}

/// A descriptor before its handshake.
private func openRaw(_ way: Userfaultfd.Access) throws -> CInt {
    let made = way == .deviceNode ? ctest_open_raw_device() : ctest_open_raw()
    try #require(made >= 0)
    return made
}

@Suite("Opening", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct OpeningCases {
    // Says by its name in the list of skipped tests that hugetlbfs is not covered.
    @Test("Huge pages can be reserved", .requiresHugePages)
    func hugePages() throws {
        let area = try Area(.hugeShared, pages: 2)
        area.store(1, 7)
        #expect(area.word(1) == 7)
    }

    // The module always asks for the one version there is; so the kernel is asked directly.
    @Test("1. api-wrong-version", arguments: ways)
    func wrongVersion(way: Userfaultfd.Access) throws {
        let descriptor = try openRaw(way)
        defer { _ = ctest_close(descriptor) }
        #expect(ctest_handshake(descriptor, 0xAB, 0) == -EINVAL)
    }

    @Test("2. api-wrong-feature", arguments: ways)
    func wrongFeature(way: Userfaultfd.Access) throws {
        let unknown = Features(rawValue: 1 << 63)
        let descriptor = try openRaw(way)
        defer { _ = ctest_close(descriptor) }
        #expect(ctest_handshake(descriptor, 0xAA, unknown.rawValue) == -EINVAL)
        let error = #expect(throws: UserfaultfdError.self) {
            _ = try Userfaultfd(requiring: unknown, trying: [way]).features
        }
        #expect(error?.operation == .handshake)
        #expect(error?.errno == .invalidArgument)
        #expect(error?.missingFeatures == unknown)
        #expect(try Userfaultfd(requesting: unknown, trying: [way]).features == [])
    }

    @Test("3. api-ok", arguments: ways)
    func works(way: Userfaultfd.Access) throws {
        let descriptor = try Userfaultfd(trying: [way])
        #expect(descriptor.access == way)
        #expect(descriptor.features == [])
        #expect(!descriptor.availableFeatures.isEmpty)
        #expect(try descriptor.status().isEnabled)
    }

    // The module cannot do it twice either: a descriptor is enabled when it is made.
    @Test("4. api-twice", arguments: ways)
    func twice(way: Userfaultfd.Access) throws {
        let descriptor = try Userfaultfd(trying: [way])
        #expect(ctest_handshake(descriptor.fileDescriptor, 0xAA, 1) == -EINVAL)
        #expect(ctest_handshake(descriptor.fileDescriptor, 0xAA, 0) == -EINVAL)
    }

    @Test("5. register-ioctls", .requiresUserfaultfd(everyMode), arguments: Backing.all, 0..<8)
    func operations(backing: Backing, bits: Int) throws {
        let modes = RegistrationModes(rawValue: UInt64(bits))
        let area = try Area(backing, pages: 1)
        let descriptor = try Userfaultfd()
        let impossible = modes.isEmpty || (backing == .anonymous && modes.contains(.minor))
        do throws(UserfaultfdError) {
            let operations = try descriptor.register(area.whole, modes: modes)
            #expect(!impossible, "\(modes) was accepted")
            #expect(operations.contains(.wake))
            #expect(!modes.contains(.missing) || operations.contains(.copy))
            #expect(operations.contains(.writeProtect) == modes.contains(.writeProtect))
            #expect(operations.contains(.mapExisting) == modes.contains(.minor))
            #expect(operations.contains(.zero) == !backing.isHuge)
            try descriptor.unregister(area.whole)
        } catch {
            #expect(impossible, "\(error)")
            #expect(error.errno == .invalidArgument)
        }
    }

    @Test(
        "6. zeropage", .requiresUserfaultfd([.missingSharedMemory, .missingHugePages]),
        arguments: Backing.all)
    func zero(backing: Backing) throws {
        let area = try Area(backing, pages: 2, alias: true)
        let descriptor = try Userfaultfd()
        let operations = try descriptor.register(area.whole, modes: .missing)
        if area.hasAlias { _ = try descriptor.register(area.wholeAlias, modes: .missing) }
        #expect(operations.contains(.zero) == !backing.isHuge)
        guard operations.contains(.zero) else {
            #expect(descriptor.zero(area.pages(0)).errno == .invalidArgument)
            #expect(descriptor.zero(area.aliasPages(0)).errno == .invalidArgument)
            return
        }
        #expect(descriptor.zero(area.pages(0)) == .whole)
        #expect(area.page(0, is: 0))
        #expect(descriptor.zero(area.pages(0)) == .exists)
        // A private mapping has a page of its own: the file is still empty.
        #expect(descriptor.zero(area.aliasPages(0)) == (backing == .privateFile ? .whole : .exists))
    }
}

private let everyMode: Features = [
    .writeProtectFaults, .missingSharedMemory, .missingHugePages, .minorSharedMemory, .minorHugePages,
    .writeProtectSharedMemory,
]
