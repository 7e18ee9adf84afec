import CTestSupport
import EventReactor
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// What a case runs on.
enum Backing: String, CaseIterable, Codable, Sendable, CustomTestStringConvertible {
    case anonymous
    /// A memfd, mapped shared.
    case shared
    /// A memfd, mapped private.
    case privateFile
    /// 2 MiB pages of hugetlbfs.
    case hugeShared
    case hugePrivate

    /// All that this process may use: huge pages must be reserved, which needs root. Where they cannot be, the test "Huge
    /// pages can be reserved" is skipped and says why.
    static let all = allCases.filter { !$0.isHuge || Loan.refusal(of: .hugePages) == nil }
    static let minor = all.filter { $0 == .shared || $0 == .hugeShared }
    static let small = all.filter { !$0.isHuge }
    static let huge = all.filter { $0.isHuge }

    var testDescription: String { rawValue }
    var isHuge: Bool { self == .hugeShared || self == .hugePrivate }
    var isShared: Bool { self == .shared || self == .hugeShared }
    var pageSize: Int { isHuge ? Backing.hugePageSize : SystemPage.size }

    static let hugePageSize = 2 << 20

    /// Pages that make 32 MiB, the kernel's own size, or a quarter of it where every access costs more.
    var manyPages: Int { (TestProcess.hasSanitizer ? 8 : 32) << 20 / pageSize }

    /// Raises the limit of huge pages for as long as the loan lasts, where this is about huge pages. In exit tests the parent holds
    /// one too: the child may end without giving back.
    func borrowPages() throws -> Loan? { isHuge ? try Loan(.hugePages) : nil }
}

extension Trait where Self == ConditionTrait {
    /// For what is about huge pages alone.
    static var requiresHugePages: Self {
        let refusal = Loan.refusal(of: .hugePages)
        return .enabled(if: refusal == nil, "\(refusal ?? "they can be had")")
    }
}

/// Pages of our own between inaccessible ones, 2 MiB aligned, with a second, shared mapping of the same file where asked for.
///
/// Unmapped at the end: threads that look at them are joined before.
final class Area: Sendable {
    let backing: Backing
    let pageCount: Int
    /// The memfd, or -1.
    let file: CInt
    private let main: Mapped
    private let second: Mapped?
    private let loan: Loan?

    init(_ backing: Backing = .anonymous, pages: Int = 8, alias: Bool = false) throws {
        self.backing = backing
        pageCount = pages
        loan = try backing.borrowPages()
        let byteCount = pages * backing.pageSize
        switch backing {
        case .anonymous: file = -1
        case .shared, .privateFile: file = ctest_memfd(UInt64(byteCount))
        case .hugeShared, .hugePrivate: file = ctest_memfd_huge(UInt64(byteCount))
        }
        try #require(file >= -1, "memfd_create answers \(file)")
        main = try Mapped(byteCount, file, shared: backing.isShared)
        second = alias && file >= 0 ? try Mapped(byteCount, file, shared: true) : nil
    }

    deinit {
        main.unmap()
        second?.unmap()
        if file >= 0 { _ = ctest_close(file) }
    }

    /// Keeps the pages mapped for good: where unmapping is told, whoever gave them back would wait for a reader. For exit tests.
    func keep() -> Self {
        Self.kept.withLock { $0.append(self) }
        return self
    }

    private static let kept = Lock<[Area]>([])

    var pageSize: Int { backing.pageSize }
    var start: UInt { main.start }
    var hasAlias: Bool { second != nil }
    var aliasStart: UInt { second?.start ?? main.start }
    var whole: AddressRange { pages(0, pageCount) }
    var wholeAlias: AddressRange { AddressRange(start: aliasStart, byteCount: pageCount * pageSize) }

    func address(_ page: Int) -> UInt { start + UInt(page * pageSize) }
    func alias(_ page: Int) -> UInt { aliasStart + UInt(page * pageSize) }

    /// `count` pages from page `first`; may reach over the end.
    func pages(_ first: Int, _ count: Int = 1) -> AddressRange {
        AddressRange(start: address(first), byteCount: count * pageSize)
    }

    func aliasPages(_ first: Int, _ count: Int = 1) -> AddressRange {
        AddressRange(start: alias(first), byteCount: count * pageSize)
    }

    /// The number of the page an address is in, of the main mapping.
    func index(of address: UInt) -> Int { Int(address - start) / pageSize }

    /// Fills page i with the words `first` + i.
    func fill(first: UInt64 = 1) {
        ctest_fill_pages(UInt64(start), UInt64(pageCount), UInt64(pageSize), first)
    }

    func word(_ page: Int) -> UInt64 { ctest_load(UInt64(address(page))) }
    func store(_ page: Int, _ value: UInt64) { ctest_store(UInt64(address(page)), value) }
    func page(_ page: Int, is word: UInt64) -> Bool {
        ctest_page_is(UInt64(address(page)), UInt64(pageSize), word) != 0
    }

    func advise(_ range: AddressRange, _ advice: CInt) -> CInt {
        ctest_madvise(UInt64(range.start), UInt64(range.byteCount), advice)
    }
}

/// A mapping and the addresses around it that were reserved.
private struct Mapped: Sendable {
    let start: UInt
    let reserved: AddressRange

    init(_ byteCount: Int, _ file: CInt, shared: Bool) throws {
        let margin = Backing.hugePageSize
        let room = byteCount + 3 * margin
        let base = ctest_mmap(
            0, UInt64(room), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
        try #require(base > 0, "no addresses: \(base)")
        reserved = AddressRange(start: UInt(base), byteCount: room)
        start = (UInt(base) + 2 * UInt(margin) - 1) & ~UInt(margin - 1)
        let flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE) | (file < 0 ? MAP_ANONYMOUS : 0)
        let mapped = ctest_mmap(UInt64(start), UInt64(byteCount), PROT_READ | PROT_WRITE, flags, file)
        try #require(mapped == Int64(start), "mmap answers \(mapped)")
    }

    func unmap() { _ = ctest_munmap(UInt64(reserved.start), UInt64(reserved.byteCount)) }
}

/// A page that nobody maps: far below where programs and libraries go, and not in the way of `vm.mmap_min_addr`.
let neverMapped = AddressRange(start: 1 << 20, byteCount: SystemPage.size)

/// The modes a mapping is registered with, as the kernel names them: um, uw, ui.
func registration(_ start: UInt) -> [Substring] {
    mappingFlags(start).filter { ["um", "uw", "ui"].contains($0) }.sorted()
}

func isMapped(_ address: UInt, _ backing: Backing) -> Bool {
    ctest_madvise(UInt64(address), UInt64(backing.pageSize), MADV_NORMAL) != -ENOMEM
}
