import CTestSupport
import Glibc
import Userfault

/// Pages of our own between two inaccessible ones, so that no neighbour's mapping merges with them.
///
/// Never unmapped: a thread of a test may still look at them when the last reference is gone, and a test that made a hole in them
/// would later unmap what others have put there.
final class Memory: Sendable {
    enum Kind {
        case anonymous
        case shared
        /// 2 MiB pages, reserved without being there.
        case hugePages
    }

    let start: UInt
    let byteCount: Int
    let pageSize: Int
    /// The memfd behind it, or -1.
    let file: CInt

    init(pages: Int = 8, _ kind: Kind = .anonymous, protection: CInt = PROT_READ | PROT_WRITE) {
        let pageSize = kind == .hugePages ? 2 << 20 : SystemPage.size
        let byteCount = pages * pageSize
        let reserved = ctest_mmap(
            0, UInt64(byteCount + 3 * pageSize), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1)
        precondition(reserved > 0)
        // Aligned to the page, with at least one page before and behind.
        start = (UInt(reserved) + 2 * UInt(pageSize) - 1) & ~UInt(pageSize - 1)
        self.byteCount = byteCount
        self.pageSize = pageSize
        var flags = MAP_FIXED
        switch kind {
        case .anonymous: (file, flags) = (-1, flags | MAP_PRIVATE | MAP_ANONYMOUS)
        case .shared: (file, flags) = (ctest_memfd(UInt64(byteCount)), flags | MAP_SHARED)
        case .hugePages:
            (file, flags) = (
                -1, flags | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | hugeMapping
            )
        }
        let mapped = ctest_mmap(UInt64(start), UInt64(byteCount), protection, flags, file)
        precondition(mapped == Int64(start), "cannot map: \(mapped)")
    }

    deinit {
        if file >= 0 { _ = ctest_close(file) }
    }

    var whole: AddressRange { pages(0, byteCount / pageSize) }

    /// `count` pages from page `first`; may reach beyond the end.
    func pages(_ first: Int, _ count: Int = 1) -> AddressRange {
        AddressRange(start: address(of: first), byteCount: count * pageSize)
    }

    func address(of page: Int) -> UInt {
        start + UInt(page * pageSize)
    }

    func peek(_ page: Int) -> UInt8 { ctest_peek(UInt64(address(of: page))) }

    func poke(_ page: Int, _ value: UInt8) { ctest_poke(UInt64(address(of: page)), value) }

    /// Puts a page into the page cache without mapping it here.
    func fillFile(_ page: Int, _ value: UInt8) {
        let byte = [value]
        let written = unsafe pwrite(file, byte, 1, page * pageSize)
        precondition(written == 1)
    }
}

/// `MAP_HUGETLB`
private let hugeMapping: CInt = 0x40000
