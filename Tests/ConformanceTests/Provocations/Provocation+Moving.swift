import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let moveRows = of(.move, moveArguments + movePlaces + moveSources)

    private static let moveArguments: [Provocation] = [
        whileChanging("a REMOVE event is unread", .again) { $0.move(0, to: 0) },
        unmappedArgument(.move),
        .fill("dst not aligned", .failed(.invalidArgument)) {
            $0.served.uffd.move(from: $0.source.start, to: $0.area.pages(0).shifted)
        },
        .fill("src not aligned (unlike COPY)", .failed(.invalidArgument)) {
            $0.served.uffd.move(from: $0.source.start + 1, to: $0.area.pages(0))
        },
        .fill("len = 0", .failed(.invalidArgument)) {
            $0.served.uffd.move(from: $0.source.start, to: $0.area.pages(0).emptied)
        },
        .fill("unknown mode bit (4)", .failed(.invalidArgument)) {
            $0.move(0, to: 0, options: MoveOptions(rawValue: 4))
        },
        .fill("1 page", .whole) {
            let outcome = $0.move(5, to: 2)
            #expect($0.area.page(2, is: 6))
            #expect($0.source.page(5, is: 0))
            return outcome
        },
        .fill("source hole, no ALLOW_SRC_HOLES", .gone(.range)) {
            #expect($0.move(0, to: 0) == .whole)
            return $0.move(0, to: 1)
        },
        .fill("source hole WITH ALLOW_SRC_HOLES (counts as moved; dst stays missing)", .whole) {
            #expect($0.move(0, to: 0) == .whole)
            let outcome = $0.move(0, to: 1, options: .allowSourceHoles)
            #expect($0.copy(1) == .whole)
            return outcome
        },
        .fill("dst present", .exists) {
            #expect($0.zero(3) == .whole)
            return $0.move(0, to: 3)
        },
        .fill("partial: third dst page present", .partial(pages: 2)) {
            #expect($0.zero(3) == .whole)
            return $0.move(0, 4, to: 1)
        },
        .fill("partial: source hole at the third page", .partial(pages: 2)) {
            #expect($0.move(2, to: 7) == .whole)
            return $0.move(0, 4, to: 0)
        },
    ]

    private static let movePlaces: [Provocation] = [
        .fill("dst unmapped", .gone(.range)) {
            $0.served.uffd.move(from: $0.source.start, to: neverMapped)
        },
        .fill("src unmapped", .gone(.range)) {
            $0.served.uffd.move(from: neverMapped.start, to: $0.area.pages(0))
        },
        .fill("dst mapped but not registered", .failed(.invalidArgument)) {
            let other = try Area()
            return $0.served.uffd.move(from: $0.source.start, to: other.pages(0))
        },
        .fill("dst registered with another uffd", .failed(.invalidArgument)) {
            try Userfaultfd().move(from: $0.source.start, to: $0.area.pages(0))
        },
        .fill("dst range crosses its VMA end", .failed(.invalidArgument)) { $0.move(0, 2, to: 7) },
        .fill("src protection differs from dst / not writable", .failed(.invalidArgument)) {
            $0.source.protect($0.source.whole, PROT_READ)
            return $0.move(0, to: 0)
        },
        .fill("src mlocked, dst not", .failed(.invalidArgument)) {
            #expect(ctest_mlock(UInt64($0.source.start), UInt64($0.source.whole.byteCount)) == 0)
            return $0.move(0, to: 0)
        },
        .fill("src shared (shmem)", .failed(.invalidArgument)) {
            let shared = try Area(.shared)
            shared.store(0, 1)
            return $0.served.uffd.move(from: shared.start, to: $0.area.pages(0))
        },
        .fill("src private file (memfd) mapping, even if COWed", .failed(.invalidArgument)) {
            let file = try Area(.privateFile)
            file.store(0, 1)
            return $0.served.uffd.move(from: file.start, to: $0.area.pages(0))
        },
        .fill(
            "dst shmem, though REGISTER advertised the MOVE bit", .failed(.invalidArgument), on: .shared,
            modes: []
        ) {
            let operations = try $0.served.uffd.register($0.area.whole, modes: .missing)
            #expect(operations.contains(.move))
            #expect(!operations.usable(on: .sharedMemory).contains(.move))
            return $0.move(0, to: 0)
        },
        .fill("dst hugetlb", .failed(.invalidArgument), on: .hugePrivate) {
            $0.served.uffd.move(from: $0.source.start, to: $0.area.pages(0))
        },
        .fill("within one registered VMA (src also registered)", .whole) {
            #expect($0.copy(0) == .whole)
            let outcome = $0.served.uffd.move(from: $0.area.start, to: $0.area.pages(4))
            #expect($0.area.page(4, is: 1))
            return outcome
        },
        .beyond(
            "called from a process whose mm is not the uffd's mm", .failed(.invalidArgument),
            because: "the other process is a bare fork, in which no Swift can run", in: .alone
        ) { try $0.inChild(ctest_child_move) },
        exited(.failed(.invalidArgument)) { scene, orphan, range in
            orphan.move(from: scene.source.start, to: range).answer()
        },
    ]

    private static let moveSources: [Provocation] = [
        .fill("source page COW-shared with a forked child", .failed(.busy), in: .alone) { scene in
            try scene.whileForked { scene.move(0, to: 0) }
        },
        .fill(
            "...still EBUSY after the child exited (AnonExclusive bit gone until rewritten)", .failed(.busy),
            in: .alone
        ) { scene in
            try scene.whileForked { #expect(scene.move(0, to: 0).errno == .busy) }
            return scene.move(0, to: 0)
        },
        .fill("...after one write to the page (exclusive again)", .whole, in: .alone) { scene in
            try scene.whileForked { #expect(scene.move(0, to: 0).errno == .busy) }
            scene.source.store(0, 99)
            return scene.move(0, to: 0)
        },
        .fill("source page long-term pinned", .failed(.busy), in: .pinned) {
            let (at, length) = (UInt64($0.source.start), UInt64(SystemPage.size))
            let pin = hasPinModule ? ctest_pin_by_gup_test(at, length) : ctest_pin_by_io_uring(at, length)
            try #require(pin >= 0)
            defer { ctest_unpin(pin) }
            return $0.move(0, to: 0)
        },
        .fill("source pte is a poison marker", .failed(.badAddress)) {
            #expect($0.poison(0) == .whole)
            return $0.served.uffd.move(from: $0.area.start, to: $0.area.pages(4))
        },
        .fill("dst is a poison marker", .exists) {
            #expect($0.poison(0) == .whole)
            return $0.move(0, to: 0)
        },
        .fill("source is the shared zero page", .whole) {
            let fresh = try Area()
            #expect(fresh.page(0, is: 0))
            return $0.served.uffd.move(from: fresh.start, to: $0.area.pages(0))
        },
    ]
}

extension Scene {
    /// While a child shares this process's pages; it has ended when this returns.
    fileprivate func whileForked<R>(_ body: () -> R) throws -> R {
        let child = Child(ctest_child_wait)
        let process = CInt(child.fork().join())
        try #require(process > 0)
        try #require(child.waitUntilReady())
        let result = body()
        child.letGo()
        #expect(ctest_wait(process) == 0)
        return result
    }
}
