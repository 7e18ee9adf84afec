import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

extension Provocation {
    static let mapExistingRows = of(
        .mapExisting,
        [
            whileChanging("a REMOVE event is unread", .again, on: .shared) {
                $0.area.cache(0)
                return $0.mapExisting(0)
            },
            unmappedArgument(.mapExisting),
            .fill("start not aligned", .failed(.invalidArgument), on: .shared) {
                $0.served.uffd.mapExisting($0.area.pages(0).shifted)
            },
            .fill("len not aligned", .failed(.invalidArgument), on: .shared) {
                $0.served.uffd.mapExisting($0.area.pages(0).ragged)
            },
            .fill("len = 0", .failed(.invalidArgument), on: .shared) {
                $0.served.uffd.mapExisting($0.area.whole.emptied)
            },
            .fill("unknown mode bit (4)", .failed(.invalidArgument), on: .shared) {
                $0.served.uffd.mapExisting($0.area.pages(0), options: ContinueOptions(rawValue: 4))
            },
            .fill("MODE_WP on a range not registered WP", .failed(.invalidArgument), on: .shared) {
                $0.area.cache(0)
                return $0.served.uffd.mapExisting($0.area.pages(0), options: .writeProtected)
            },
            .fill(
                "no page in the page cache at this offset", .failed(.badAddress), on: .shared, modes: .minor
            ) { $0.mapExisting(0) },
            .fill("page cache page present", .whole, on: .shared, modes: .minor) {
                $0.area.cache(0)
                let outcome = $0.mapExisting(0)
                #expect($0.area.word(0) == 51)
                return outcome
            },
            .fill("already mapped", .exists, on: .shared, modes: .minor) {
                $0.area.cache(0)
                #expect($0.mapExisting(0) == .whole)
                return $0.mapExisting(0)
            },
            .fill(
                "partial: pages 5,6 cached, page 7 not; len=3 pages", .partial(pages: 2), on: .shared,
                modes: .minor
            ) {
                $0.area.cache(5, 6)
                return $0.mapExisting(5, 3)
            },
            .fill("private anonymous VMA", .failed(.invalidArgument)) { $0.mapExisting(0) },
            .fill("not registered", .gone(.range), on: .shared) {
                $0.served.uffd.mapExisting($0.source.pages(0))
            },
            .fill("shmem registered MISSING only (mode is not checked)", .whole, on: .shared) {
                $0.area.cache(0)
                return $0.mapExisting(0)
            },
            .fill("shmem: beyond end of file (EINVAL, not EFAULT)", .failed(.invalidArgument), on: .shared) {
                #expect(ctest_truncate($0.area.file, UInt64(SystemPage.size)) == 0)
                return $0.mapExisting(3)
            },
            .fill(
                "hugetlb: len not huge multiple", .failed(.invalidArgument), on: .hugeShared, modes: .minor
            ) {
                $0.area.cache(0)
                return $0.served.uffd.mapExisting($0.area.pages(0).firstSmall)
            },
            .fill("hugetlb: not in page cache", .failed(.badAddress), on: .hugeShared, modes: .minor) {
                $0.mapExisting(0)
            },
            .fill("hugetlb: cached", .whole, on: .hugeShared, modes: .minor) {
                $0.area.cache(0)
                let outcome = $0.mapExisting(0)
                #expect($0.area.word(0) == 51)
                return outcome
            },
            .fill("hugetlb: already mapped", .exists, on: .hugeShared, modes: .minor) {
                $0.area.cache(0)
                #expect($0.mapExisting(0) == .whole)
                return $0.mapExisting(0)
            },
            exited(.gone(.process)) { _, orphan, range in orphan.mapExisting(range).answer() },
        ])
}
