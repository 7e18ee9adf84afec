import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let copyBackings: [Provocation] = [
        .fill("shmem: dst beyond end of file", .failed(.badAddress), on: .shared) {
            #expect(ctest_truncate($0.area.file, UInt64(SystemPage.size)) == 0)
            return $0.copy(3)
        },
        .fill("shared shmem: page already in page cache though not mapped here", .exists, on: .shared) {
            $0.area.cache(1)
            return $0.copy(1)
        },
        .fill(
            "private shmem: page in page cache, not mapped (becomes anon)", .whole, on: .privateFile
        ) {
            $0.area.cache(1)
            let outcome = $0.copy(1)
            #expect($0.area.word(1) == 2)
            #expect(ctest_load(UInt64($0.area.alias(1))) == 52)
            return outcome
        },
        .fill("hugetlb: len not a huge-page multiple", .failed(.invalidArgument), on: .hugeShared) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).firstSmall)
        },
        .fill("hugetlb: dst not huge aligned", .failed(.invalidArgument), on: .hugeShared) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).afterSmall)
        },
        .fill("hugetlb: 2 MiB", .whole, on: .hugeShared) { $0.copy(0) },
        .fill("hugetlb: already present", .exists, on: .hugeShared) {
            #expect($0.copy(0) == .whole)
            return $0.copy(0)
        },
        .fill("dst covered by a transparent huge page", .exists, modes: []) { scene in
            let huge = try Area(pages: Backing.hugePageSize / SystemPage.size)
            huge.fill()
            try #require(huge.advise(huge.whole, Advice.collapse) == 0)
            var runs = PageRuns()
            _ = try PagemapScanner().scan(huge.whole, requiring: .huge, returning: .huge, into: &runs)
            #expect(runs.count == 1)
            try scene.register(huge.whole)
            return scene.served.uffd.copy(from: scene.source.start, to: huge.pages(5))
        },
        .fill("tmpfs size=8k full after 2 pages, len=4 pages", .partial(pages: 2), modes: [], in: .root) {
            try $0.onFullFileSystem { $0.served.uffd.copy(from: $0.source.start, to: $1) }
        },
        .fill("tmpfs full (NOT ENOSPC)", .failed(.noMemory), modes: [], in: .root) {
            try $0.onFullFileSystem {
                #expect($0.served.uffd.copy(from: $0.source.start, to: $1) != .whole)
                let rest = $1.droppingFirst(bytes: 2 * SystemPage.size)
                return $0.served.uffd.copy(from: $0.source.start, to: rest)
            }
        },
    ]

    static let copyProcesses: [Provocation] = [
        .beyond(
            "from another process holding the fd; src is in the CALLER's space", .whole,
            because: "the other process is a bare fork, in which no Swift can run", in: .alone
        ) { scene in
            let answer = try scene.inChild(ctest_child_copy)
            // What the child wrote to its own source.
            #expect(ctest_peek(UInt64(scene.area.address(0))) == 0x99)
            #expect(scene.source.word(0) == 1)
            return answer
        },
        exited(.gone(.process)) { scene, orphan, range in
            orphan.copy(from: scene.source.start, to: range).answer()
        },
    ]
}

extension Scene {
    /// Asks for the first page from a child, which has the descriptor and other memory.
    func inChild(_ task: ctest_child_task) throws -> Provocation.Answer {
        let child = Child(task, UInt(uffd), Int(area.start), Int(source.start), UInt(area.pageSize))
        let process = CInt(child.fork().join())
        try #require(process > 0)
        let status = ctest_wait(process)
        try #require(status >= 0)
        return status == 0 ? .whole : .failed(Errno(rawValue: status))
    }

    /// Four registered pages of a file on a file system that has room for two.
    func onFullFileSystem(_ body: (Scene, AddressRange) throws -> Outcome) throws -> Outcome {
        let page = SystemPage.size
        let file = unsafe ctest_file_on_small_tmpfs("\(2 * page)")
        try #require(file >= 0)
        defer { _ = ctest_close(file) }
        try #require(ctest_truncate(file, UInt64(4 * page)) == 0)
        let length = UInt64(4 * page)
        let flags = MAP_SHARED | MAP_FIXED
        let mapped = ctest_mmap(UInt64(area.start), length, PROT_READ | PROT_WRITE, flags, file)
        try #require(mapped == Int64(area.start))
        try register(area.pages(0, 4))
        return try body(self, area.pages(0, 4))
    }
}
