import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let poisonRows = of(
        .poison,
        [
            whileChanging("a REMOVE event is unread", .again) { $0.poison(0) },
            unmappedArgument(.poison),
            .fill("start not aligned", .failed(.invalidArgument)) {
                $0.served.uffd.poison($0.area.pages(0).shifted)
            },
            .fill("len = 0", .failed(.invalidArgument)) { $0.served.uffd.poison($0.area.whole.emptied) },
            .fill("unknown mode bit (2)", .failed(.invalidArgument)) {
                $0.served.uffd.poison($0.area.pages(0), options: PoisonOptions(rawValue: 2))
            },
            .fill("not registered", .gone(.range)) { $0.served.uffd.poison($0.source.pages(0)) },
            .fill("unpopulated page", .whole) { $0.poison(0) },
            .fill("already poisoned", .exists) {
                #expect($0.poison(0) == .whole)
                return $0.poison(0)
            },
            .fill("page present", .exists) {
                #expect($0.copy(0) == .whole)
                return $0.poison(0)
            },
            .fill("partial: page 1 free, page 2 present", .partial(pages: 1)) {
                #expect($0.copy(2) == .whole)
                return $0.poison(1, 2)
            },
            .fill("again after MADV_DONTNEED (poison marker is dropped by zap)", .whole) {
                #expect($0.poison(0) == .whole)
                #expect($0.area.advise($0.area.pages(0), Advice.dontNeed) == 0)
                return $0.poison(0)
            },
            .fill(
                "onto a WP marker (WP_UNPOPULATED)", .exists, modes: [.missing, .writeProtect],
                features: .writeProtectUnpopulated
            ) {
                #expect($0.protect(0) == .whole)
                return $0.poison(0)
            },
            .fill("shmem", .whole, on: .shared) { $0.poison(0) },
            .fill("hugetlb: len not huge multiple", .failed(.invalidArgument), on: .hugeShared) {
                $0.served.uffd.poison($0.area.pages(0).firstSmall)
            },
            .fill("hugetlb", .whole, on: .hugeShared) { $0.poison(0) },
            .fill("hugetlb already poisoned", .exists, on: .hugeShared) {
                #expect($0.poison(0) == .whole)
                return $0.poison(0)
            },
            exited(.gone(.process)) { _, orphan, range in orphan.poison(range).answer() },
            .fill("several pages", .whole) { $0.poison(0, 8) }.besides,
        ])

    /// What becomes of accesses to a poisoned page.
    static let accessRows = of(
        .access,
        [
            .seen("user load of a poisoned page", .signal(SIGBUS), in: .alone) { try $0.loadPoisoned() },
            .seen("write(2) from a poisoned page", .failed(.badAddress)) {
                #expect($0.poison(1) == .whole)
                return answer(ctest_peek_by_system_call(UInt64($0.area.address(1))))
            },
            .seen("read(2) into a poisoned page", .failed(.badAddress)) {
                #expect($0.poison(1) == .whole)
                return answer(ctest_poke_by_system_call(UInt64($0.area.address(1)), 5))
            },
            .seen("process_vm_readv of a poisoned page (GUP)", .failed(.badAddress)) {
                #expect($0.poison(1) == .whole)
                return answer(ctest_peek_by_vm_read(UInt64($0.area.address(1))))
            },
            .seen("MADV_POPULATE_READ of a poisoned page", .failed(Errno(rawValue: EHWPOISON))) {
                #expect($0.poison(1) == .whole)
                return answer($0.area.advise($0.area.pages(1), Advice.populateRead))
            },
            .seen("load after COPY over poison", .value(2)) {
                #expect($0.poison(1) == .whole)
                #expect($0.copy(1) == .whole)
                return .value(Int($0.reader(1).join()))
            },
            .seen("user load of poisoned hugetlb", .signal(SIGBUS), on: .hugePrivate, in: .alone) {
                try $0.loadPoisoned()
            },
        ])
}

private func answer(_ result: CInt) -> Provocation.Answer {
    result < 0 ? .failed(Errno(rawValue: -result)) : .whole
}

extension Scene {
    /// Loads a byte from within a poisoned page, and looks at what the signal says of it.
    fileprivate func loadPoisoned() throws -> Provocation.Answer {
        ctest_catch_faults()
        #expect(poison(1) == .whole)
        let address = UInt64(area.address(1) + 1)
        let result = ctest_try_peek(address)
        guard result < 0 else { return .value(Int(result)) }
        #expect(ctest_fault_address() == address)
        // Only a kernel that knows of broken memory names it: BUS_MCEERR_AR with the size of the page, else BUS_ADRERR.
        let namesIt = readText("/proc/sys/vm/memory_failure_recovery") != nil
        #expect(ctest_fault_code() == (namesIt ? 4 : 2))
        #expect(ctest_fault_granularity() == (namesIt ? area.pageSize.trailingZeroBitCount : 0))
        return .signal(-result)
    }
}
