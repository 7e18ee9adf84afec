import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// A child that is forked without the C library, looks at memory and exits.
@safe
final class FamilyTree: Sendable {
    private let held: (read: CInt, write: CInt)?
    private let isHeld = Lock(false)
    private let runs: [ctest_run]
    private let generations: Int

    /// - Parameter isHeld: whether the child waits before it looks, until ``letGo()``.
    init(_ runs: [ctest_run], generations: Int = 1, isHeld: Bool = false) {
        self.runs = runs
        self.generations = generations
        guard isHeld else {
            held = nil
            return
        }
        var ends: [CInt] = [0, 0]
        precondition(unsafe ctest_pipe(&ends) == 0)
        held = (ends[0], ends[1])
        self.isHeld.withLock { $0 = true }
    }

    deinit {
        letGo()
        if let held { _ = ctest_close(held.read) }
    }

    func letGo() {
        isHeld.withLock { isHeld in
            // A byte, since others that were forked have a copy of this end.
            if isHeld, let held { _ = (ctest_write_byte(held.write, 1), ctest_close(held.write)) }
            isHeld = false
        }
    }

    /// Forks, on a thread of its own; the child's number. Returns when the message has been read.
    func fork() async -> CInt {
        let thread = FaultingThread { [self] in forkNow() }
        return CInt(await thread.value)
    }

    /// The same, on this thread.
    func forkNow() -> Int64 {
        var family = ctest_family()
        family.run_count = CInt(runs.count)
        unsafe withUnsafeMutableBytes(of: &family.runs) { bytes in
            unsafe runs.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
        }
        family.generations = CInt(generations)
        family.hold = held?.read ?? -1
        family.release = held?.write ?? -1
        return unsafe ctest_fork_family(&family)
    }

    /// The status of a child; see ctest_wait.
    static func wait(_ child: CInt) async -> CInt {
        let thread = FaultingThread { ctest_wait(child) }
        return await thread.value
    }

    static func run(_ region: Region, _ pages: Range<Int>, first: UInt64) -> ctest_run {
        ctest_run(
            at: UInt64(region.addresses(pages).start), count: UInt64(pages.count),
            page_size: UInt64(region.pageSize), first: first, options: 0)
    }

    static func zeroes(_ region: Region, _ pages: Range<Int>) -> ctest_run {
        var run = run(region, pages, first: 0)
        run.options = CInt(ctest_walk_zero.rawValue)
        return run
    }
}

/// Keeps what the owner is given.
final class ChildLog: Sendable {
    private let entries = Lock<[ForkedChild]>([])
    var children: [ForkedChild] { entries.withLock { $0 } }
    func add(_ child: ForkedChild) { entries.withLock { $0.append(child) } }
    func forget() { entries.withLock { $0 = [] } }
}

// Each in a process of its own: the children must be of nobody else's making.
@Suite(.requiresUserfaultfd(.forkEvents), .timeLimit(.minutes(5)))
struct EventForkTests {
    @Test func `a child that nobody serves finds zeroes where pages were missing`() async {
        await #expect(processExitsWith: .success) {
            try await withPager(Pager.Configuration(events: .fork)) { pager in
                let options = RegionOptions(isInheritedByFork: true)
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1), options: options)
                #expect(await words(region.range.start, 3) == [1, 2, 3])
                let tree = FamilyTree([
                    FamilyTree.run(region, 0..<3, first: 1), FamilyTree.zeroes(region, 3..<8),
                ])
                #expect(await FamilyTree.wait(tree.fork()) == 0)
                // The parent is served as before.
                #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
                #expect(await pager.statistics.events == 1)
            }
        }
    }

    /// A descriptor that is closed here is open in whoever was forked in between.
    @Test func `a child is let go although its sibling has a copy of its descriptor`() async {
        await #expect(processExitsWith: .success) {
            try await withPager(Pager.Configuration(events: .fork)) { pager in
                let options = RegionOptions(isInheritedByFork: true)
                let region = try await pager.map(
                    byteCount: 4 * SystemPage.size, handler: NumberedPages(first: 1), options: options)
                let elder = FamilyTree([FamilyTree.zeroes(region, 0..<4)], isHeld: true)
                let younger = FamilyTree([FamilyTree.zeroes(region, 0..<4)], isHeld: true)
                let hold = await LoopHold.take(pager.reactor)
                let first = await elder.fork()
                let second = await younger.fork()
                hold.release()
                elder.letGo()
                #expect(await FamilyTree.wait(first) == 0)
                younger.letGo()
                #expect(await FamilyTree.wait(second) == 0)
            }
        }
    }

    @Test func `a child is served by the handler of its choice, and its pager ends with it`() async {
        await #expect(processExitsWith: .success) {
            let log = ChildLog()
            let seen = Lock<[String]>([])
            let policy = ForkPolicy.serve(
                handlerFor: { region in
                    seen.withLock { $0.append("\(region.name) at \(region.offset)") }
                    return region.name == "same" ? region.handler : NumberedPages(first: 100)
                }, onChild: { log.add($0) })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let before = ctest_descriptor_count()
                func map(_ name: String, inherited: Bool = true) async throws -> Region {
                    try await pager.map(
                        byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                        options: RegionOptions(name: name, isInheritedByFork: inherited))
                }
                let same = try await map("same")
                let other = try await map("other")
                _ = try await map("hidden", inherited: false)
                for region in [same, other] { #expect(await words(region.range.start, 3) == [1, 2, 3]) }
                let tree = FamilyTree([
                    FamilyTree.run(same, 0..<8, first: 1), FamilyTree.run(other, 0..<3, first: 1),
                    FamilyTree.run(other, 3..<8, first: 103),
                ])
                #expect(await FamilyTree.wait(tree.fork()) == 0)
                #expect(Set(seen.withLock { $0 }) == ["same at 0", "other at 0"])
                let child = try #require(log.children.first)
                #expect(Set(child.regions.map(\.range)) == [same.range, other.range])
                #expect(Set(child.regions.map(\.name)) == ["same", "other"])
                let error = await #expect(throws: PagerError.self) {
                    try await child.pager.waitUntilStopped()
                }
                #expect(error?.code == .processExited)
                try await eventually { ctest_descriptor_count() == before }
                #expect(await words(other.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            }
        }
    }

    @Test func `what a child is given no handler for raises an error in it`() async {
        await #expect(processExitsWith: .success) {
            ctest_die_of_bus_errors()
            let policy = ForkPolicy.serve(handlerFor: { _ in nil })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                #expect(await words(region.range.start, 3) == [1, 2, 3])
                let there = FamilyTree([FamilyTree.run(region, 0..<3, first: 1)])
                #expect(await FamilyTree.wait(there.fork()) == 0)
                let missing = FamilyTree([FamilyTree.run(region, 3..<4, first: 4)])
                #expect(await FamilyTree.wait(missing.fork()) == -1000 - SIGBUS)
            }
        }
    }

    @Test func `grandchildren are served like children`() async {
        await #expect(processExitsWith: .success) {
            let log = ChildLog()
            let policy = ForkPolicy.serve(handlerFor: { $0.handler }, onChild: { log.add($0) })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let region = try await pager.map(
                    byteCount: 64 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                #expect(await words(region.range.start, 5) == [1, 2, 3, 4, 5])
                let tree = FamilyTree([FamilyTree.run(region, 0..<64, first: 1)], generations: 4)
                #expect(await FamilyTree.wait(tree.fork()) == 0)
                #expect(log.children.count == 4)
                for child in log.children {
                    await #expect(throws: PagerError.self) { try await child.pager.waitUntilStopped() }
                }
            }
        }
    }

    @Test(
        .requiresUserfaultfd([.forkEvents, .remapEvents, .removeEvents, .unmapEvents]),
        arguments: [false, true])
    func `a child may move and drop its memory`(isShared: Bool) async {
        await #expect(processExitsWith: .success) { [isShared = isShared as Bool] in
            let policy = ForkPolicy.serve(handlerFor: { $0.handler })
            try await withPager(Pager.Configuration(events: .all, forkPolicy: policy)) { pager in
                let page = SystemPage.size
                let options = RegionOptions(isInheritedByFork: true)
                let handler = NumberedPages(first: 1)
                let region =
                    isShared
                    ? try await pager.map(
                        SharedMemory(byteCount: 32 * page), handler: handler, options: options)
                    : try await pager.map(byteCount: 32 * page, handler: handler, options: options)
                let target = FreeAddresses(byteCount: 32 * page)
                let thread = FaultingThread {
                    var child = ctest_child()
                    child.task = ctest_child_events
                    child.a = UInt64(region.range.start)
                    child.b = 32
                    child.c = UInt64(region.pageSize)
                    child.d = UInt64(target.range.start)
                    child.options = isShared ? 256 : 0
                    return unsafe ctest_fork_child(&child)
                }
                #expect(await FamilyTree.wait(CInt(thread.value)) == 0)
            }
        }
    }

    @Test func `the end of the parent's pager ends that of a child, unless somebody keeps it`() async {
        await #expect(processExitsWith: .success) {
            ctest_die_of_bus_errors()
            let log = ChildLog()
            let policy = ForkPolicy.serve(handlerFor: { $0.handler }, onChild: { log.add($0) })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let region = try await pager.map(
                    byteCount: 4 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                let kept = FamilyTree([FamilyTree.run(region, 0..<4, first: 1)], isHeld: true)
                let dropped = FamilyTree([FamilyTree.run(region, 0..<4, first: 1)], isHeld: true)
                let first = await dropped.fork()
                try await eventually { log.children.count == 1 }
                log.forget()
                let second = await kept.fork()
                try await eventually { log.children.count == 1 }
                await pager.shutdown()
                kept.letGo()
                #expect(await FamilyTree.wait(second) == 0)
                dropped.letGo()
                #expect(await FamilyTree.wait(first) == -1000 - SIGBUS)
            }
        }
    }

    /// A child that is forked while the pager is on its way out must not be shown zeroes either.
    @Test func `a fork in the middle of a shutdown is let go, sealed`() async {
        await #expect(processExitsWith: .success) {
            ctest_die_of_bus_errors()
            let policy = ForkPolicy.serve(handlerFor: { $0.handler })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let region = try await pager.map(
                    byteCount: 4 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                let tree = FamilyTree([FamilyTree.run(region, 0..<4, first: 1)])
                let hold = await LoopHold.take(pager.reactor)
                async let closed: Void = pager.shutdown(within: .zero)
                let child = await tree.fork()
                hold.release()
                await closed
                #expect(await FamilyTree.wait(child) == -1000 - SIGBUS)
            }
        }
    }

    @Test func `fork events are refused to ordinary users, with advice`() async {
        await #expect(processExitsWith: .success) {
            #expect(TestProcess.becomeOrdinaryUser() || !(ctest_is_root() != 0))
            let reactor = try Reactor.start()
            let error = await #expect(throws: PagerError.self) {
                try await Pager(on: reactor, configuration: Pager.Configuration(events: .fork))
            }
            #expect(error?.kernelError?.missingFeatures == .forkEvents)
            #expect(error?.description.contains("CAP_SYS_PTRACE") == true)
            // The others are free.
            let pager = try await Pager(
                on: reactor, configuration: Pager.Configuration(events: [.remap, .remove, .unmap]))
            #expect(pager.features.isSuperset(of: [.remapEvents, .removeEvents, .unmapEvents]))
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
