import CTestSupport
import FaultlineTestKit
import Testing
import Userfault

extension Provocation {
    static let unregisterRows = of(
        .unregister,
        [
            unmappedArgument(.unregister),
            .call("start not page aligned", .failed(.invalidArgument)) {
                try $0.served.uffd.unregister($0.area.pages(0).shifted)
            },
            .call("len not page aligned", .failed(.invalidArgument)) {
                try $0.served.uffd.unregister($0.area.pages(0).ragged)
            },
            .call("len = 0", .failed(.invalidArgument)) {
                try $0.served.uffd.unregister($0.area.whole.emptied)
            },
            .call("compatible mapping that was never registered (no-op)", .whole) {
                try $0.served.uffd.unregister($0.area.whole)
            },
            .call("no mapping in the range", .failed(.invalidArgument)) {
                try $0.served.uffd.unregister(neverMapped)
            },
            .call("incompatible mapping (regular file)", .failed(.invalidArgument)) {
                try $0.area.mapOrdinaryFile()
                try $0.served.uffd.unregister($0.area.pages(0))
            },
            .call("range owned by another uffd", .failed(.invalidArgument), modes: .missing, in: .linux6_17) {
                try Userfaultfd().unregister($0.area.whole)
            },
            .call("sub-range in the middle (VMA split)", .whole, modes: .missing) {
                try $0.served.uffd.unregister($0.area.pages(3, 2))
                #expect(
                    [$0.area.address(0), $0.area.address(3), $0.area.address(5)].map(registration) == [
                        ["um"], [], ["um"],
                    ])
            },
            .call(
                "hugetlb: start not huge aligned", .failed(.invalidArgument), on: .hugeShared, modes: .missing
            ) {
                try $0.served.uffd.unregister($0.area.pages(0).afterSmall)
            },
            .call(
                "hugetlb: len not huge multiple", .failed(.invalidArgument), on: .hugeShared, modes: .missing
            ) {
                try $0.served.uffd.unregister($0.area.pages(0).firstSmall)
            },
            exited(.failed(.noMemory)) { _, orphan, range in
                try orphan.unregister(range)
                return .whole
            },
        ])

    static let wakeRows = of(
        .wake,
        [
            unmappedArgument(.wake),
            .call("start not page aligned", .failed(.invalidArgument)) {
                try $0.served.uffd.wake($0.area.pages(0).shifted)
            },
            .call("len not page aligned", .failed(.invalidArgument)) {
                try $0.served.uffd.wake($0.area.pages(0).ragged)
            },
            .call("len = 0", .failed(.invalidArgument)) { try $0.served.uffd.wake($0.area.whole.emptied) },
            .call("beyond task size", .failed(.invalidArgument)) { try $0.served.uffd.wake(kernelRange) },
            .call("never-registered range (no-op)", .whole) { try $0.served.uffd.wake($0.area.whole) },
            .call("unmapped range (no-op)", .whole) { try $0.served.uffd.wake(neverMapped) },
            .call("whole user address space in one call", .whole, modes: .missing) {
                var batch = EventBatch(capacity: 1)
                let reader = try $0.parkedReader(1, &batch)
                #expect($0.copy(1, options: .dontWake) == .whole)
                let range = try #require(wholeUserMemory($0.served))
                #expect(range.contains($0.area.whole))
                try $0.served.uffd.wake(range)
                #expect(reader.join() == 2)
            },
            .call(
                "a REMOVE event is unread (WAKE is not blocked)", .whole, modes: .missing,
                features: .removeEvents
            ) {
                scene in
                try scene.whileChanging { try scene.served.uffd.wake(scene.area.whole) }
            },
            exited(.whole) { _, orphan, range in
                try orphan.wake(range)
                return .whole
            },
        ])
}

/// From the first page that may be mapped to the last that the kernel takes for a user's; its size differs between machines.
private func wholeUserMemory(_ served: Served) -> AddressRange? {
    for bits in (32..<63).reversed() {
        for end in [UInt(1) << UInt(bits), UInt(1) << UInt(bits) - UInt(SystemPage.size)] {
            let range = AddressRange(start: neverMapped.start, byteCount: Int(end - neverMapped.start))
            if (try? served.uffd.wake(range)) != nil { return range }
        }
    }
    return nil
}
