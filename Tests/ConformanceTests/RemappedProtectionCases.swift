import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

private let transparent = "/sys/kernel/mm/transparent_hugepage/"

/// A size of transparent huge pages that this kernel knows.
struct HugeSize: Codable, Sendable, CustomTestStringConvertible {
    var backing: Backing
    var byteCount: Int

    /// Lets madvise ask for it.
    var setting: Loan.Setting {
        let folder = transparent + "hugepages-\(byteCount >> 10)kB/"
        return backing == .shared
            ? Loan.Setting(path: folder + "shmem_enabled", wanted: "advise")
            : Loan.Setting(path: folder + "enabled", wanted: "madvise")
    }

    var testDescription: String { "\(backing) \(byteCount >> 10) KiB" }

    static let all: [HugeSize] = [Backing.anonymous, .shared].flatMap { backing in
        (13..<22).map { HugeSize(backing: backing, byteCount: 1 << $0) }
            .filter { readText($0.setting.path) != nil }
    }
}

private let noHugeSizes: Comment =
    "needs a kernel with CONFIG_TRANSPARENT_HUGEPAGE, and root, to choose the sizes of huge pages"

// Mappings that move leave holes, which another thread could fill: exit tests.
@Suite(
    "Write-protection and mremap", .requiresUserfaultfd([.writeProtectFaults, .writeProtectSharedMemory]),
    .timeLimit(.minutes(5)))
struct RemappedProtectionCases {
    @Test("25. wp-mremap-base", arguments: [Backing.anonymous, .shared])
    func basePages(backing: Backing) async {
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkMoved(backing, byteCount: SystemPage.size)
        }
    }

    @Test(
        "25. wp-mremap-base, swapped out", .enabled(if: hasSwap, "needs swap"),
        arguments: [Backing.anonymous, .shared])
    func swappedPages(backing: Backing) async {
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkMoved(backing, byteCount: SystemPage.size, swappedOut: true)
        }
    }

    @Test(
        "26. wp-mremap-thp",
        .enabled(
            if: !HugeSize.all.isEmpty && HugeSize.all.allSatisfy { Loan.refusal(of: $0.setting) == nil },
            noHugeSizes),
        arguments: HugeSize.all)
    func transparentHugePages(size: HugeSize) async throws {
        let loan = try Loan(size.setting)
        await #expect(processExitsWith: .success) { [size = size as HugeSize] in
            try checkMoved(size.backing, byteCount: size.byteCount, isHuge: true)
        }
        withExtendedLifetime(loan) {}
    }

    @Test("27. wp-mremap-hugetlb", .requiresHugePages, arguments: Backing.huge)
    func hugetlb(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try checkMoved(backing, byteCount: Backing.hugePageSize)
        }
        withExtendedLifetime(pages) {}
    }
}

private let hasSwap = (readText("/proc/swaps") ?? "").split(separator: "\n").count > 1

/// Protects, moves without remap events, and looks at the bit of every page.
private func checkMoved(
    _ backing: Backing, byteCount: Int, isHuge: Bool = false, swappedOut: Bool = false
) throws {
    let area = try Area(backing, pages: byteCount / backing.pageSize)
    let target = try Area(backing, pages: area.pageCount)
    if isHuge { #expect(area.advise(area.whole, Advice.hugePage) == 0) }
    area.fill()
    let scanner = try PagemapScanner()
    if isHuge {
        let first = try scanner.entry(at: area.start).frame
        for page in 0..<area.pageCount {
            let frame = try scanner.entry(at: area.address(page)).frame
            try #require(frame == first + UInt64(page), "no huge page of \(byteCount) bytes was to be had")
        }
    }
    let served = try Served(area, .writeProtect)
    #expect(served.uffd.writeProtect(area.whole, options: .protect) == .whole)
    if swappedOut { #expect(area.advise(area.whole, Advice.pageOut) == 0) }
    let bytes = stride(from: 0, to: byteCount, by: SystemPage.size)
    for offset in bytes {
        #expect(try scanner.entry(at: area.start + UInt(offset)).isWriteProtected)
    }
    let moved = ctest_mremap(UInt64(area.start), UInt64(byteCount), UInt64(target.start))
    try #require(moved == Int64(target.start), "mremap answers \(moved)")
    for offset in bytes {
        #expect(try !scanner.entry(at: target.start + UInt(offset)).isWriteProtected)
    }
    // Not registered any more either: a write does not wait.
    target.store(0, 77)
    #expect(target.word(0) == 77)
    #expect(try served.pending == 0)
}
