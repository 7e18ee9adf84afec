import CTestSupport
import FaultlineTestKit
import Glibc
import Testing
import Userfault

private let familyEvents: Features = [.forkEvents, .remapEvents, .removeEvents]

@Suite("Events", .timeLimit(.minutes(5)))
struct EventCases {
    @Test("20. events", .requiresUserfaultfd(familyEvents), arguments: Backing.all)
    func events(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try await checkFamily(backing, protects: false)
        }
        withExtendedLifetime(pages) {}
    }

    @Test(
        "21. events-wp",
        .requiresUserfaultfd(familyEvents.union([.writeProtectFaults, .writeProtectSharedMemory])),
        arguments: Backing.all)
    func eventsProtected(backing: Backing) async throws {
        let pages = try backing.borrowPages()
        await #expect(processExitsWith: .success) { [backing = backing as Backing] in
            try await checkFamily(backing, protects: true)
        }
        withExtendedLifetime(pages) {}
    }

    @Test("23. mmap-changing", .requiresUserfaultfd([.removeEvents, .poison, .move, .minorSharedMemory]))
    func changing() throws {
        let area = try Area(.shared)
        area.fill()
        let served = try Served(area, features: .removeEvents)
        let remover = Worker.advise(area.start, area.pageCount * area.pageSize, Advice.remove)
        try eventually { remover.state == "D" && ctest_poll_now(served.uffd.fileDescriptor) & POLLIN != 0 }
        for fill in [
            ctest_fill_copy, ctest_fill_zero, ctest_fill_move, ctest_fill_poison, ctest_fill_continue,
        ] {
            let answer = ctest_zeroed_fill(served.uffd.fileDescriptor, fill)
            #expect(answer.error == EAGAIN, "operation \(fill.rawValue)")
            // Kernels before 6.15 or so leave the field alone. The module takes both for the same.
            #expect(answer.field == Int64(-EAGAIN) || answer.field == 1)
            #expect(answer.field == Int64(-EAGAIN) || !isLinux(6, 16))
        }
        let page = area.pages(0)
        #expect(served.uffd.copy(from: area.start, to: page) == .again)
        #expect(served.uffd.zero(page) == .again)
        #expect(served.uffd.move(from: area.start, to: page) == .again)
        #expect(served.uffd.poison(page) == .again)
        #expect(served.uffd.mapExisting(page) == .again)
        #expect(served.uffd.writeProtect(page, options: []) == .again)
        var batch = EventBatch(capacity: 1)
        #expect(try batch.next(from: served) == .remove(area.whole))
        #expect(remover.join() == 0)
        #expect(served.uffd.zero(page) == .whole)
    }
}

/// Whether the kernel is at least this new.
func isLinux(_ major: Int, _ minor: Int) -> Bool {
    let release = readText("/proc/sys/kernel/osrelease") ?? ""
    let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
    return numbers.count == 2 && (numbers[0], numbers[1]) >= (major, minor)
}

/// Follows a child: its descriptor, where its memory moves, and what it drops.
private func follow(
    _ parent: Served, _ area: Area, from source: UInt, protects: Bool, until stopper: CInt
) throws -> Monitor.Counts {
    var counts = Monitor.Counts()
    var (current, base, removed) = (parent, area.start, false)
    var batch = EventBatch()
    while true {
        let ready = ctest_wait_two(current.uffd.fileDescriptor, stopper, 1000)
        if ready == 2 { return counts }
        guard ready & 1 != 0, try batch.read(from: current.uffd) > 0 else { continue }
        for index in 0..<batch.count {
            if case .fault = batch[index] {} else { counts.events += 1 }
            switch batch[index] {
            case .fork:
                guard let child = batch.takeFork(at: index) else { throw Unexpected(event: batch[index]) }
                current = Served(adopting: child)
            case .remap(let from, let to, _):
                if from == base { base = to }
            case .remove(let range):
                removed = true
                try current.uffd.unregister(range)
            case .fault where removed:
                break  // it was quicker than unregistering, which has woken it
            case .fault(let fault):
                let page = AddressRange(start: fault.address, byteCount: area.pageSize)
                let outcome = try current.uffd.untilNotAgain { uffd in
                    fault.kind == .writeProtect
                        ? uffd.writeProtect(page, options: [])
                        : uffd.copy(
                            from: source + (fault.address - base), to: page,
                            options: protects ? .writeProtected : [])
                }
                if outcome != .whole { counts.wrong.append("\(fault): \(outcome)") }
                if fault.kind == .writeProtect { counts.writeProtect += 1 } else { counts.missing += 1 }
            case .unmap, .unknown:
                throw Unexpected(event: batch[index])
            }
        }
    }
}

private func checkFamily(_ backing: Backing, protects: Bool) async throws {
    let area = try Area(backing, pages: backing.manyPages)
    let target = try Area(backing, pages: area.pageCount)
    let source = try Area(pages: area.pageCount * area.pageSize / SystemPage.size)
    ctest_fill_pages(UInt64(source.start), UInt64(area.pageCount), UInt64(area.pageSize), 1)
    let served = try Served(area, protects ? [.missing, .writeProtect] : .missing, features: familyEvents)
    let stopper = ctest_event_counter()
    let monitor = FaultingThread {
        Result { try follow(served, area, from: source.start, protects: protects, until: stopper) }
    }
    let write = protects ? Int(ctest_walk_write.rawValue) : 0
    let child = Child(
        ctest_child_events, area.start, area.pageCount, area.pageSize, target.start,
        options: write | (backing.isShared ? 256 : 0))
    let number = CInt(child.fork().join())
    try #require(number > 0)
    let status = ctest_wait(number)
    #expect(status == 0, "the child failed at step \(status)")
    ctest_event_signal(stopper)
    let counts = try await monitor.value.get()
    #expect(counts.missing == area.pageCount)
    #expect(counts.writeProtect == (protects ? area.pageCount : 0))
    #expect(counts.events == 3)
    #expect(counts.wrong == [])
}
