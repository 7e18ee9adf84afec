import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

extension Provocation {
    static let writeProtectRows = of(
        .writeProtect,
        [
            .fill("a REMOVE event is unread", .again, modes: .writeProtect, features: .removeEvents) {
                scene in
                try scene.whileChanging { scene.protect(0) }
            },
            .fill("not registered", .gone(.range), modes: .writeProtect) {
                $0.served.uffd.writeProtect($0.source.whole, options: .protect)
            },
            .fill("registered MISSING only, not WP", .gone(.range)) { $0.protect(0) },
            unmappedArgument(.writeProtect),
            .fill("start not aligned", .failed(.invalidArgument), modes: .writeProtect) {
                $0.served.uffd.writeProtect($0.area.pages(0).shifted, options: .protect)
            },
            .fill("len = 0", .failed(.invalidArgument), modes: .writeProtect) {
                $0.served.uffd.writeProtect($0.area.pages(0).emptied, options: .protect)
            },
            .fill("unknown mode bit", .failed(.invalidArgument), modes: .writeProtect) {
                $0.protect(0, options: WriteProtectOptions(rawValue: 4))
            },
            .fill("MODE_WP+MODE_DONTWAKE together", .failed(.invalidArgument), modes: .writeProtect) {
                $0.protect(0, options: [.protect, .dontWake])
            },
            .fill("protect", .whole, modes: .writeProtect) {
                $0.area.store(0, 1)
                let outcome = $0.protect(0)
                try $0.check(0, isProtected: true)
                return outcome
            },
            .fill("protect again (idempotent)", .whole, modes: .writeProtect) {
                #expect($0.protect(0, 8) == .whole)
                return $0.protect(0, 8)
            },
            .fill("unprotect with DONTWAKE", .whole, modes: .writeProtect) {
                $0.area.store(0, 1)
                #expect($0.protect(0) == .whole)
                let outcome = $0.protect(0, options: .dontWake)
                try $0.check(0, isProtected: false)
                return outcome
            },
            .fill("unprotect twice", .whole, modes: .writeProtect) {
                #expect($0.protect(0, 8) == .whole)
                #expect($0.protect(0, 8, options: []) == .whole)
                return $0.protect(0, 8, options: [])
            },
            .fill("range wholly unmapped", .gone(.range), modes: .writeProtect) {
                $0.served.uffd.writeProtect(neverMapped, options: .protect)
            },
            .fill(
                "range runs past the WP VMA into an unregistered one (the first part IS protected)",
                .gone(.range), modes: .writeProtect
            ) {
                $0.area.store(7, 1)
                let outcome = $0.protect(7, 2)
                try $0.check(7, isProtected: true)
                return outcome
            },
            .fill(
                "hole inside range, both sides registered WP", .whole, modes: .writeProtect, in: .alone
            ) {
                for page in [2, 5] { $0.area.store(page, 1) }
                #expect(ctest_munmap(UInt64($0.area.address(3)), UInt64(2 * SystemPage.size)) == 0)
                let outcome = $0.protect(0, 8)
                try $0.check(2, isProtected: true)
                try $0.check(5, isProtected: true)
                return outcome
            },
            .fill(
                "hugetlb: start or len not huge aligned", .failed(.invalidArgument), on: .hugeShared,
                modes: .writeProtect
            ) {
                let start = $0.served.uffd.writeProtect($0.area.pages(0).afterSmall, options: .protect)
                #expect(start.errno == .invalidArgument)
                return $0.served.uffd.writeProtect($0.area.pages(0).firstSmall, options: .protect)
            },
            .fill(
                "hugetlb: 2 MiB unpopulated (installs marker)", .whole, on: .hugeShared, modes: .writeProtect
            ) {
                let outcome = $0.protect(0)
                try $0.check(0, isProtected: true)
                return outcome
            },
            exited(.gone(.process)) { _, orphan, range in
                orphan.writeProtect(range, options: .protect).answer()
            },
        ])
}
