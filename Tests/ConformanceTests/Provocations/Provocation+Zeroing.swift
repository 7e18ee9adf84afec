import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

extension Provocation {
    static let zeroRows = of(
        .zero,
        [
            whileChanging("a REMOVE event is unread", .again) { $0.zero(0) },
            .fill("hugetlb (never supported)", .failed(.invalidArgument), on: .hugeShared) { $0.zero(0) },
            .fill("tmpfs full", .failed(.noMemory), modes: [], in: .root) {
                try $0.onFullFileSystem {
                    #expect($0.served.uffd.copy(from: $0.source.start, to: $1) != .whole)
                    return $0.served.uffd.zero($1.droppingFirst(bytes: 2 * SystemPage.size))
                }
            },
            unmappedArgument(.zero),
            .fill("start not aligned", .failed(.invalidArgument)) {
                $0.served.uffd.zero($0.area.pages(0).shifted)
            },
            .fill("len not aligned", .failed(.invalidArgument)) {
                $0.served.uffd.zero($0.area.pages(0).ragged)
            },
            .fill("len = 0", .failed(.invalidArgument)) { $0.served.uffd.zero($0.area.whole.emptied) },
            .fill("unknown mode bit (2)", .failed(.invalidArgument)) {
                $0.served.uffd.zero($0.area.pages(0), options: ZeroOptions(rawValue: 2))
            },
            .fill("not registered", .gone(.range)) { $0.served.uffd.zero($0.source.pages(0)) },
            .fill("partial: third page already present", .partial(pages: 2)) {
                #expect($0.copy(3) == .whole)
                return $0.zero(1, 4)
            },
            .fill("already present", .exists) {
                #expect($0.copy(3) == .whole)
                return $0.zero(3)
            },
            .fill("shared shmem (allocates a real page)", .whole, on: .shared) {
                let outcome = $0.zero(1)
                $0.area.store(1, 5)
                #expect(ctest_load(UInt64($0.area.alias(1))) == 5)
                return outcome
            },
            .fill("private shmem", .whole, on: .privateFile) {
                $0.area.cache(1)
                let outcome = $0.zero(1)
                #expect($0.area.page(1, is: 0))
                return outcome
            },
            .fill("onto a poisoned page", .exists) {
                #expect($0.poison(0) == .whole)
                return $0.zero(0)
            },
            .fill(
                "onto a WP marker", .exists, modes: [.missing, .writeProtect],
                features: .writeProtectUnpopulated
            ) {
                #expect($0.protect(0) == .whole)
                return $0.zero(0)
            },
            exited(.gone(.process)) { _, orphan, range in orphan.zero(range).answer() },
            .fill("onto a poisoned page of shared shmem (un-poisons)", .whole, on: .shared) {
                #expect($0.poison(0) == .whole)
                return $0.zero(0)
            }.besides,
            .fill("several pages", .whole) { $0.zero(0, 8) }.besides,
            .fill("not mapped", .gone(.range)) { $0.served.uffd.zero(neverMapped) }.besides,
            .fill("MODE_DONTWAKE", .whole) {
                $0.served.uffd.zero($0.area.pages(0), options: .dontWake)
            }.besides,
        ])
}
