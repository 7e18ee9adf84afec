import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(1)))
struct CopyOutcomeTests {
    @Test(arguments: copyRows)
    func `copy answers as the kernel does`(row: Row) throws {
        try row.check(operation: .copy)
    }

    @Test(.requiresUserfaultfd(.missingSharedMemory), arguments: sharedCopyRows)
    func `copy into shared memory answers as the kernel does`(row: Row) throws {
        try row.check(operation: .copy)
    }

    @Test(.requiresUserfaultfd(.missingHugePages), arguments: hugeCopyRows)
    func `copy into huge pages wants huge alignment`(row: Row) throws {
        try row.check(operation: row.name.hasPrefix("zero") ? .zero : .copy)
    }

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

    @Test(.enabled(if: smallFileSystemWorks, "needs the right to mount a tmpfs"))
    func `a full file system is out of memory, after what fitted`() throws {
        let page = SystemPage.size
        let file = unsafe ctest_file_on_small_tmpfs("\(2 * page)")
        defer { _ = ctest_close(file) }
        try #require(ctest_truncate(file, UInt64(4 * page)) == 0)
        let mapped = ctest_mmap(0, UInt64(4 * page), PROT_READ | PROT_WRITE, MAP_SHARED, file)
        try #require(mapped > 0)
        defer { _ = ctest_munmap(UInt64(mapped), UInt64(4 * page)) }
        let range = AddressRange(start: UInt(mapped), byteCount: 4 * page)
        let trapped = try Trapped()
        _ = try trapped.descriptor.register(range, modes: .missing)
        let source = trapped.source.address(of: 0)
        #expect(trapped.descriptor.copy(from: source, to: range).answer == .partial(pages: 2))
        let rest = range.droppingFirst(bytes: 2 * page)
        #expect(trapped.descriptor.copy(from: source, to: rest).answer == .failed(.noMemory))
        #expect(trapped.descriptor.zero(rest).answer == .failed(.noMemory))
    }
}

private let smallFileSystemWorks: Bool = {
    let file = unsafe ctest_file_on_small_tmpfs("\(2 * SystemPage.size)")
    if file >= 0 { _ = ctest_close(file) }
    return file >= 0
}()

private let copyRows: [Row] = [
    Row("missing page", .whole) { $0.copy(0) },
    Row("several pages", .whole) { $0.copy(0, 8) },
    Row("source not aligned", .whole) {
        $0.descriptor.copy(from: $0.source.address(of: 0) + 7, to: $0.memory.pages(0))
    },
    Row("destination not aligned", .failed(.invalidArgument)) {
        $0.descriptor.copy(from: $0.source.start, to: $0.memory.pages(0).shifted)
    },
    Row("length not aligned", .failed(.invalidArgument)) {
        $0.descriptor.copy(from: $0.source.start, to: $0.memory.pages(0).ragged)
    },
    Row("length 0", .failed(.invalidArgument)) {
        $0.descriptor.copy(from: $0.source.start, to: $0.memory.pages(0).emptied)
    },
    Row("beyond user memory", .failed(.invalidArgument)) {
        $0.descriptor.copy(from: $0.source.start, to: kernelRange)
    },
    Row("over the end of the address space", .failed(.invalidArgument)) {
        $0.descriptor.copy(from: $0.source.start, to: $0.memory.pages(0).wrapping)
    },
    Row("unknown option", .failed(.invalidArgument)) {
        $0.copy(0, options: CopyOptions(rawValue: 4))
    },
    Row("write-protected, not registered for it", .failed(.invalidArgument)) {
        $0.copy(0, options: .writeProtected)
    },
    Row("source not mapped", .failed(.badAddress)) {
        $0.descriptor.copy(from: neverMapped.start, to: $0.memory.pages(0))
    },
    Row("second source page unreadable", .partial(pages: 1)) {
        $0.descriptor.copy(from: $0.source.address(of: 7), to: $0.memory.pages(0, 2))
    },
    Row("not registered", .gone(.range)) {
        $0.descriptor.copy(from: $0.source.start, to: $0.source.pages(1))
    },
    Row("not mapped", .gone(.range)) { $0.descriptor.copy(from: $0.source.start, to: neverMapped) },
    Row("over the end of the registered mapping", .gone(.range)) { $0.copy(7, 2) },
    Row("two mappings that differ in protection", .gone(.range)) {
        $0.memory.protect($0.memory.pages(4, 4), PROT_READ)
        return $0.copy(3, 2)
    },
    Row("read-only mapping", .whole) {
        $0.memory.protect($0.memory.whole, PROT_READ)
        return $0.copy(0)
    },
    Row("registered with another descriptor", .whole) {
        try Userfaultfd().copy(from: $0.source.start, to: $0.memory.pages(0))
    },
    Row("page is there", .exists) {
        #expect($0.copy(1) == .whole)
        return $0.copy(1, 2)
    },
    Row("third page is there", .partial(pages: 2)) {
        #expect($0.zero(3) == .whole)
        return $0.copy(1, 4)
    },
    Row("unregistered since", .gone(.range)) {
        try $0.descriptor.unregister($0.memory.whole)
        return $0.copy(0)
    },
    Row("dontWake", .whole) { $0.copy(0, options: .dontWake) },
]

private let sharedCopyRows: [Row] = [
    Row("shared: missing page", on: .shared, .whole) { $0.copy(0) },
    Row("shared: in the page cache, not mapped here", on: .shared, .exists) {
        $0.memory.fillFile(0, 9)
        return $0.copy(0)
    },
    Row("private mapping of shared memory, in the page cache", on: .privateFile, .whole) {
        $0.memory.fillFile(0, 9)
        let outcome = $0.copy(0)
        #expect($0.memory.peek(0) == 1)
        return outcome
    },
    Row("shared: beyond the end of the file", on: .shared, .failed(.badAddress)) {
        #expect(ctest_truncate($0.memory.file, UInt64(SystemPage.size)) == 0)
        return $0.copy(3)
    },
]

private let hugeCopyRows: [Row] = [
    Row("huge: length of a small page", on: .hugePages, .failed(.invalidArgument)) {
        let range = AddressRange(start: $0.memory.start, byteCount: SystemPage.size)
        return $0.descriptor.copy(from: $0.source.start, to: range)
    },
    Row("huge: start on a small page", on: .hugePages, .failed(.invalidArgument)) {
        let range = AddressRange(
            start: $0.memory.start + UInt(SystemPage.size), byteCount: $0.memory.pageSize)
        return $0.descriptor.copy(from: $0.source.start, to: range)
    },
    Row("zero: there is no huge zero page", on: .hugePages, .failed(.invalidArgument)) {
        $0.descriptor.zero($0.memory.pages(0))
    },
]
