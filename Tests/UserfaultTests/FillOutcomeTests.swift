import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(1)))
struct FillOutcomeTests {
    @Test(arguments: zeroRows)
    func `zero answers as the kernel does`(row: Row) throws {
        try row.check(operation: .zero)
    }

    @Test(.requiresUserfaultfd([.poison, .missingSharedMemory]), arguments: poisonRows)
    func `poison answers as the kernel does`(row: Row) throws {
        try row.check(operation: .poison)
    }

    @Test(.requiresUserfaultfd([.minorSharedMemory, .missingSharedMemory]), arguments: continueRows)
    func `mapExisting answers as the kernel does`(row: Row) throws {
        try row.check(operation: .mapExisting)
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
}

private let zeroRows: [Row] = [
    Row("missing pages", .whole) { $0.zero(0, 8) },
    Row("start not aligned", .failed(.invalidArgument)) {
        $0.descriptor.zero($0.memory.pages(0).shifted)
    },
    Row("length not aligned", .failed(.invalidArgument)) {
        $0.descriptor.zero($0.memory.pages(0).ragged)
    },
    Row("length 0", .failed(.invalidArgument)) { $0.descriptor.zero($0.memory.pages(0).emptied) },
    Row("unknown option", .failed(.invalidArgument)) {
        $0.descriptor.zero($0.memory.pages(0), options: ZeroOptions(rawValue: 2))
    },
    Row("not registered", .gone(.range)) { $0.descriptor.zero($0.source.pages(0)) },
    Row("not mapped", .gone(.range)) { $0.descriptor.zero(neverMapped) },
    Row("third page is there", .partial(pages: 2)) {
        #expect($0.copy(3) == .whole)
        return $0.zero(1, 4)
    },
    Row("page is there", .exists) {
        #expect($0.copy(3) == .whole)
        return $0.zero(3)
    },
    Row("dontWake", .whole) { $0.descriptor.zero($0.memory.pages(0), options: .dontWake) },
]

private let poisonRows: [Row] = [
    Row("missing pages", .whole) { $0.descriptor.poison($0.memory.pages(0, 8)) },
    Row("start not aligned", .failed(.invalidArgument)) {
        $0.descriptor.poison($0.memory.pages(0).shifted)
    },
    Row("length 0", .failed(.invalidArgument)) { $0.descriptor.poison($0.memory.pages(0).emptied) },
    Row("unknown option", .failed(.invalidArgument)) {
        $0.descriptor.poison($0.memory.pages(0), options: PoisonOptions(rawValue: 2))
    },
    Row("not registered", .gone(.range)) { $0.descriptor.poison($0.source.pages(0)) },
    Row("poisoned already", .exists) {
        #expect($0.descriptor.poison($0.memory.pages(0)) == .whole)
        return $0.descriptor.poison($0.memory.pages(0))
    },
    Row("page is there", .exists) {
        #expect($0.copy(0) == .whole)
        return $0.descriptor.poison($0.memory.pages(0))
    },
    Row("second page is there", .partial(pages: 1)) {
        #expect($0.copy(1) == .whole)
        return $0.descriptor.poison($0.memory.pages(0, 2))
    },
    Row("shared memory", on: .shared, .whole) { $0.descriptor.poison($0.memory.pages(0)) },
    Row("again, after the pages were dropped", .whole) {
        let page = $0.memory.pages(0)
        #expect($0.descriptor.poison(page) == .whole)
        #expect(ctest_madvise(UInt64(page.start), UInt64(page.byteCount), MADV_DONTNEED) == 0)
        return $0.descriptor.poison(page)
    },
]

private let continueRows: [Row] = [
    Row("page in the page cache", on: .shared, modes: .minor, .whole) {
        $0.memory.fillFile(0, 1)
        return $0.descriptor.mapExisting($0.memory.pages(0))
    },
    Row("registered for missing pages only", on: .shared, .whole) {
        $0.memory.fillFile(0, 1)
        return $0.descriptor.mapExisting($0.memory.pages(0))
    },
    Row("start not aligned", on: .shared, .failed(.invalidArgument)) {
        $0.descriptor.mapExisting($0.memory.pages(0).shifted)
    },
    Row("length not aligned", on: .shared, .failed(.invalidArgument)) {
        $0.descriptor.mapExisting($0.memory.pages(0).ragged)
    },
    Row("length 0", on: .shared, .failed(.invalidArgument)) {
        $0.descriptor.mapExisting($0.memory.pages(0).emptied)
    },
    Row("unknown option", on: .shared, .failed(.invalidArgument)) {
        $0.descriptor.mapExisting($0.memory.pages(0), options: ContinueOptions(rawValue: 4))
    },
    Row("write-protected, not registered for it", on: .shared, .failed(.invalidArgument)) {
        $0.memory.fillFile(0, 1)
        return $0.descriptor.mapExisting($0.memory.pages(0), options: .writeProtected)
    },
    Row("no page in the page cache", on: .shared, modes: .minor, .failed(.badAddress)) {
        $0.descriptor.mapExisting($0.memory.pages(0))
    },
    Row("mapped already", on: .shared, modes: .minor, .exists) {
        $0.memory.fillFile(0, 1)
        #expect($0.descriptor.mapExisting($0.memory.pages(0)) == .whole)
        return $0.descriptor.mapExisting($0.memory.pages(0))
    },
    Row("third page not in the page cache", on: .shared, modes: .minor, .partial(pages: 2)) {
        $0.memory.fillFile(0, 1)
        $0.memory.fillFile(1, 1)
        return $0.descriptor.mapExisting($0.memory.pages(0, 3))
    },
    Row("private anonymous memory", .failed(.invalidArgument)) {
        $0.descriptor.mapExisting($0.memory.pages(0))
    },
    Row("not registered", on: .shared, .gone(.range)) {
        $0.descriptor.mapExisting($0.source.pages(0))
    },
    Row("beyond the end of the file", on: .shared, .failed(.invalidArgument)) {
        #expect(ctest_truncate($0.memory.file, UInt64(SystemPage.size)) == 0)
        return $0.descriptor.mapExisting($0.memory.pages(3))
    },
]
