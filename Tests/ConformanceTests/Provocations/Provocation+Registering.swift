import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

extension Provocation {
    static let registerRows = of(
        .register,
        [
            unmappedArgument(.register),
            .call("mode = 0", .failed(.invalidArgument)) { try $0.register($0.area.whole, []) },
            .call("mode = 8 (unknown bit)", .failed(.invalidArgument)) {
                try $0.register($0.area.whole, RegistrationModes(rawValue: 8))
            },
            .call("start not page aligned", .failed(.invalidArgument)) {
                try $0.register($0.area.pages(0).shifted)
            },
            .call("len not page aligned", .failed(.invalidArgument)) {
                try $0.register($0.area.pages(0).ragged)
            },
            .call("len = 0", .failed(.invalidArgument)) { try $0.register($0.area.whole.emptied) },
            .call("start >= task size", .failed(.invalidArgument)) { try $0.register(kernelRange) },
            .call("start+len beyond task size", .failed(.invalidArgument)) {
                try $0.register($0.area.whole.wrapping)
            },
            .beyond(
                "start+len wraps around", .failed(.invalidArgument),
                because: "a range has no negative length, and no end beyond the last address", modes: []
            ) {
                let length = UInt64.max & ~UInt64(SystemPage.size - 1)
                return $0.ask(.register, [UInt64($0.area.start), length, 1, 0], in: $0.source)
            },
            .call("no mapping at all in the range", .failed(.invalidArgument)) {
                try $0.register(neverMapped)
            },
            .call("range containing a hole (holes are skipped)", .whole, in: .alone) {
                #expect(ctest_munmap(UInt64($0.area.address(3)), UInt64(2 * $0.area.pageSize)) == 0)
                try $0.register($0.area.whole)
                #expect($0.zero(0, 3) == .whole)
                #expect($0.zero(5, 3) == .whole)
                #expect($0.zero(3, 2) == .gone(.range))
            },
            .call("range starting in a hole before a mapping", .whole, in: .alone) {
                #expect(ctest_munmap(UInt64($0.area.address(0)), UInt64(2 * $0.area.pageSize)) == 0)
                try $0.register($0.area.whole)
                #expect($0.zero(2, 6) == .whole)
            },
            .call("incompatible mapping: regular file (MISSING)", .failed(.invalidArgument)) {
                try $0.area.mapOrdinaryFile()
                try $0.register($0.area.pages(0))
            },
            .call("incompatible mapping: regular file (WP, sync)", .failed(.invalidArgument)) {
                try $0.area.mapOrdinaryFile()
                try $0.register($0.area.pages(0), .writeProtect)
            },
            .call("regular file, WP only, WP_ASYNC context", .whole, features: .asynchronousWriteProtect) {
                try $0.area.mapOrdinaryFile()
                try $0.register($0.area.pages(0), .writeProtect)
            },
            .call(
                "regular file, WP+MISSING, WP_ASYNC context", .failed(.invalidArgument),
                features: .asynchronousWriteProtect
            ) {
                try $0.area.mapOrdinaryFile()
                try $0.register($0.area.pages(0), [.missing, .writeProtect])
            },
            .call("MINOR on private anonymous memory", .failed(.invalidArgument)) {
                try $0.register($0.area.whole, .minor)
            },
            .call("MAP_DROPPABLE mapping", .failed(.invalidArgument), in: .linux6_17) {
                let (start, length) = (UInt64($0.area.start), UInt64($0.area.pageSize))
                let flags = droppable | MAP_ANONYMOUS | MAP_FIXED
                try #require(ctest_mmap(start, length, PROT_READ | PROT_WRITE, flags, -1) == Int64(start))
                try $0.register($0.area.pages(0))
            },
            .call(
                "MAP_SHARED of a memfd opened O_RDONLY (no VM_MAYWRITE)", .failed(.notPermitted), on: .shared
            ) {
                let file = ctest_reopen_read_only($0.area.file)
                defer { _ = ctest_close(file) }
                try $0.area.map(file, MAP_SHARED, byteCount: $0.area.whole.byteCount)
                try $0.register($0.area.whole)
            },
            .call("MAP_SHARED of a memfd with F_SEAL_WRITE", .failed(.notPermitted)) {
                let file = ctest_memfd(UInt64($0.area.whole.byteCount))
                defer { _ = ctest_close(file) }
                try #require(ctest_seal_writes(file) == 0)
                try $0.area.map(file, MAP_SHARED, byteCount: $0.area.whole.byteCount)
                try $0.register($0.area.whole)
            },
            .call("PROT_READ private anon (VM_MAYWRITE is what counts)", .whole) {
                $0.area.protect($0.area.whole, PROT_READ)
                try $0.register($0.area.whole)
            },
            .call("PROT_NONE private anon", .whole) {
                $0.area.protect($0.area.whole, PROT_NONE)
                try $0.register($0.area.whole)
            },
            .call("first registration", .whole) {
                try $0.register($0.area.whole)
                #expect(registration($0.area.start) == ["um"])
            },
            .call("overlaps a VMA owned by another uffd", .failed(.busy), modes: .missing) {
                _ = try Userfaultfd().register($0.area.pages(3), modes: .missing)
            },
            .call("same uffd, same range again", .whole, modes: .missing) { try $0.register($0.area.whole) },
            .call("same uffd, changed mode MISSING->WP (replaces mode)", .whole, modes: .missing) {
                try $0.register($0.area.whole, .writeProtect)
                #expect(registration($0.area.start) == ["uw"])
            },
            .call("hugetlb: start not huge-page aligned", .failed(.invalidArgument), on: .hugeShared) {
                try $0.register($0.area.pages(0).afterSmall)
            },
            .call("hugetlb: end not huge-page aligned", .failed(.invalidArgument), on: .hugeShared) {
                try $0.register($0.area.pages(0).firstSmall)
            },
            .call("special mapping ([vvar], VM_PFNMAP/VM_IO)", .failed(.invalidArgument)) {
                try $0.register(try specialMapping())
            },
            .beyond(
                "argp readable but `ioctls` not writable (the range is registered)", .failed(.badAddress),
                because: "the module passes arguments of its own", modes: []
            ) {
                let answer = try $0.askReadOnly(.register, $0.area.whole.words + [1, 0])
                #expect(registration($0.area.start) == ["um"])
                return answer
            },
            .call("...proof: another uffd now gets EBUSY on it", .failed(.busy)) {
                #expect(try $0.askReadOnly(.register, $0.area.whole.words + [1, 0]) == .failed(.badAddress))
                _ = try Userfaultfd().register($0.area.whole, modes: .missing)
            },
            .call(
                "while an event is unread, and unregistering", .whole, modes: .missing,
                features: .removeEvents
            ) {
                scene in
                let other = try Area()
                try scene.whileChanging {
                    try scene.register(other.whole)
                    try scene.served.uffd.unregister(other.whole)
                }
            },
            exited(.failed(.noMemory)) { _, orphan, range in
                _ = try orphan.register(range, modes: .missing)
                return .whole
            },
        ])
}

/// `MAP_DROPPABLE`
private let droppable: CInt = 0x08

/// Memory that belongs to the kernel: its data page for the clock.
private func specialMapping() throws -> AddressRange {
    let maps = readText("/proc/self/maps", upTo: 4 << 20) ?? ""
    let line = try #require(maps.split(separator: "\n").first { $0.hasSuffix("[vvar]") })
    let ends = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
    try #require(ends.count == 2)
    return AddressRange(start: ends[0], byteCount: Int(ends[1] - ends[0]))
}
