import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let copyRows = of(.copy, copyArguments + copyPlaces + copyTimes + copyBackings + copyProcesses)

    private static let copyArguments: [Provocation] = [
        unmappedArgument(.copy),
        .fill("dst not page aligned", .failed(.invalidArgument)) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).shifted)
        },
        .fill("len not page aligned", .failed(.invalidArgument)) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).ragged)
        },
        .fill("len = 0", .failed(.invalidArgument)) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).emptied)
        },
        .fill("dst+len wraps / beyond task size", .failed(.invalidArgument)) {
            #expect(
                $0.served.uffd.copy(from: $0.source.start, to: kernelRange).errno == .invalidArgument)
            return $0.served.uffd.copy(from: $0.source.start, to: $0.area.pages(0).wrapping)
        },
        .fill("src beyond task size", .failed(.invalidArgument)) {
            $0.served.uffd.copy(from: kernelRange.start, to: $0.area.pages(0))
        },
        .fill("unknown mode bit (4)", .failed(.invalidArgument)) {
            $0.copy(0, options: CopyOptions(rawValue: 4))
        },
        .fill("MODE_WP on a range not registered with WP", .failed(.invalidArgument)) {
            $0.copy(0, options: .writeProtected)
        },
        .fill("src unmapped", .failed(.badAddress)) {
            $0.served.uffd.copy(from: neverMapped.start, to: $0.area.pages(0))
        },
        .fill("src NOT page aligned (only dst/len must be aligned)", .whole) {
            $0.served.uffd.copy(from: $0.source.start + 7, to: $0.area.pages(0))
        },
        .fill("several pages", .whole) { $0.copy(0, 8) }.besides,
        .fill("MODE_DONTWAKE", .whole) { $0.copy(0, options: .dontWake) }.besides,
    ]

    private static let copyPlaces: [Provocation] = [
        .fill("dst mapped but not registered", .gone(.range)) {
            $0.served.uffd.copy(from: $0.source.start, to: $0.source.pages(1))
        },
        .fill("dst registered with a DIFFERENT uffd of the same mm", .whole) {
            try Userfaultfd().copy(from: $0.source.start, to: $0.area.pages(0))
        },
        .fill("dst unmapped", .gone(.range)) {
            $0.served.uffd.copy(from: $0.source.start, to: neverMapped)
        },
        .fill("dst range crosses the end of the registered VMA", .gone(.range)) { $0.copy(7, 2) },
        .fill("dst spans two adjacent registered VMAs (different prot)", .gone(.range)) {
            $0.area.protect($0.area.pages(4, 4), PROT_READ)
            return $0.copy(3, 2)
        },
        .fill("into PROT_READ registered page", .whole) {
            $0.area.protect($0.area.whole, PROT_READ)
            return $0.copy(0)
        },
        .fill("dst page already present", .exists) {
            #expect($0.copy(1) == .whole)
            return $0.copy(1, 2)
        },
        .fill("partial: pages 1,2 missing, page 3 present, len=4 pages", .partial(pages: 2)) {
            #expect($0.zero(3) == .whole)
            return $0.copy(1, 4)
        },
        .fill("...resume at dst+copy reports the real reason", .exists) {
            #expect($0.zero(3) == .whole)
            guard case .partial(let bytesDone) = $0.copy(1, 4) else { return .whole }
            let rest = $0.area.pages(1, 4).droppingFirst(bytes: bytesDone)
            return $0.served.uffd.copy(from: $0.source.address(3), to: rest)
        },
        .fill("partial: second source page unmapped", .partial(pages: 1)) {
            // Behind the source come addresses that nobody may read.
            $0.served.uffd.copy(from: $0.source.address(7), to: $0.area.pages(0, 2))
        },
        .fill("dst unregistered since", .gone(.range)) {
            try $0.served.uffd.unregister($0.area.whole)
            return $0.copy(0)
        }.besides,
    ]

    private static let copyTimes: [Provocation] = [
        whileChanging("a REMOVE event is unread (mmap_changing)", .again) { $0.copy(0) },
        whileChanging("mmap_changing is checked BEFORE argument validation (len=3)", .again) {
            $0.served.uffd.copy(
                from: $0.source.start, to: AddressRange(start: $0.area.start, byteCount: 3))
        },
        .fill("after the event was read and the madvise thread ran", .whole, features: .removeEvents) {
            scene in
            try scene.whileChanging { #expect(scene.copy(0) == .again) }
            return scene.copy(0)
        },
        .beyond(
            "argp read-only (the page IS installed, waiters NOT woken)", .failed(.badAddress),
            because: "the module passes arguments of its own"
        ) { scene in
            var batch = EventBatch(capacity: 1)
            let reader = try scene.parkedReader(1, &batch)
            let answer = try scene.copyReadOnly(1)
            #expect(try scene.served.waiting == 1)
            try scene.wake(1)
            #expect(reader.join() == 2)
            return answer
        },
        .fill("...proof: same page again", .exists) {
            let answer = try $0.copyReadOnly(1)
            #expect(answer == .failed(.badAddress))
            return $0.copy(1)
        },
        .fill("onto a poisoned page (markers count as none: un-poisons)", .whole) {
            #expect($0.poison(0) == .whole)
            return $0.copy(0)
        },
        .fill(
            "onto a WP marker (may overwrite)", .whole, modes: [.missing, .writeProtect],
            features: .writeProtectUnpopulated
        ) {
            #expect($0.protect(0) == .whole)
            let outcome = $0.copy(0)
            try $0.check(0, isProtected: false)
            return outcome
        },
    ]
}

extension Scene {
    /// Copies one page with an argument to which the kernel cannot write its answer.
    fileprivate func copyReadOnly(_ page: Int) throws -> Provocation.Answer {
        let words = [area.address(page), source.address(page), UInt(area.pageSize), 0, 0].map { UInt64($0) }
        return try askReadOnly(.copy, words)
    }
}
