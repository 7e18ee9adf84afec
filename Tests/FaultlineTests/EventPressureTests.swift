import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Forks while everybody allocates, and while there are no descriptors. Each in a process of its own.
@Suite(.requiresUserfaultfd(.forkEvents), .serialized, .timeLimit(.minutes(5)))
struct EventPressureTests {
    #if !SANITIZED
        /// The C library's fork holds every lock of its allocator while the message is unread. A sanitizer's runtime has locks of
        /// its own in the way of forks.
        @Test(arguments: ["close", "serve", "spawn"])
        func `forks go on while all threads allocate, the reactor's among them`(how: String) async {
            await #expect(processExitsWith: .success) { [how = how as String] in
                let policy = how == "serve" ? ForkPolicy.serve(handlerFor: { $0.handler }) : .close
                try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                    let count = 1024
                    // Buffers, tasks and continuations: the reactor's thread allocates with every request.
                    let handler = ClosureHandler { request in
                        await Task.yield()
                        return try .copy(NumberedPages.buffer(for: request, first: 1))
                    }
                    let region = try await pager.map(
                        byteCount: count * SystemPage.size, handler: handler,
                        options: RegionOptions(isInheritedByFork: true, removedPages: .askHandler))
                    let stop = MemoryProbe.map(byteCount: SystemPage.size)
                    let threads = (0..<8).map { number in
                        FaultingThread {
                            var job = ctest_churn()
                            job.area = UInt64(region.range.start)
                            job.count = UInt64(count)
                            job.page_size = UInt64(region.pageSize)
                            job.first = 1
                            job.stop = UInt64(stop)
                            job.seed = UInt64(number)
                            return unsafe ctest_churn(&job)
                        }
                    }
                    let forker = FaultingThread {
                        how == "spawn" ? ctest_spawn_over_and_over(60) : ctest_fork_over_and_over(200)
                    }
                    #expect(await forker.value == 0)
                    ctest_store(UInt64(stop), 1)
                    for thread in threads { #expect(await thread.value > 0) }
                    #expect(await pager.statistics.events == (how == "spawn" ? 0 : 200))
                    #expect(handler.callCount > 0)
                }
            }
        }
    #endif

    @Test func `with no descriptor left forks go on, and the owner is told`() async {
        await #expect(processExitsWith: .success) {
            let log = FailureLog()
            let configuration = Pager.Configuration(onFailure: { log.add($0) }, events: .fork)
            try await withPager(configuration) { pager in
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                #expect(await words(region.range.start, 2) == [1, 2])
                await DescriptorHog.withFullTable {
                    for _ in 0..<20 {
                        let tree = FamilyTree([FamilyTree.run(region, 0..<2, first: 1)])
                        #expect(await FamilyTree.wait(tree.fork()) == 0)
                    }
                    #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
                }
                let error = log.failures.first?.error as? PagerError
                #expect(error?.kernelError?.errno == .tooManyFiles)
                #expect(error?.kernelError?.operation == .read)
                // And again, when there has been time to take back the descriptor that was given up.
                let tree = FamilyTree([FamilyTree.run(region, 0..<2, first: 1)])
                #expect(await FamilyTree.wait(tree.fork()) == 0)
            }
        }
    }

    /// Each served child keeps a descriptor. The last one that is kept back for forks is not given to a child: the next fork
    /// would wait, with all locks of the allocator, and so would whoever could free a descriptor.
    @Test func `children are served as long as there are descriptors, and refused from then on`() async {
        await #expect(processExitsWith: .success) {
            ctest_die_of_bus_errors()
            let log = FailureLog()
            let policy = ForkPolicy.serve(handlerFor: { $0.handler })
            let configuration = Pager.Configuration(
                onFailure: { log.add($0) }, events: .fork, forkPolicy: policy)
            try await withPager(configuration) { pager in
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                let runs = [FamilyTree.run(region, 0..<8, first: 1)]
                let trees = (0..<12).map { _ in FamilyTree(runs, isHeld: true) }
                let spare = (0..<4).map { _ in ctest_event_counter() }
                // Nothing above it: there is no way out by raising the soft limit.
                _ = ctest_set_hard_descriptor_limit(256)
                try await DescriptorHog.withFullTable {
                    var children: [CInt] = []
                    for (number, tree) in trees.enumerated() {
                        children.append(await tree.fork())
                        try await eventually { await pager.statistics.events == number + 1 }
                    }
                    for tree in trees { tree.letGo() }
                    var served = 0
                    for child in children {
                        let status = await FamilyTree.wait(child)
                        #expect(status == 0 || status == -1000 - SIGBUS, "\(status)")
                        served += status == 0 ? 1 : 0
                    }
                    #expect((1..<trees.count).contains(served), "\(served)")
                    #expect(
                        log.failures.contains {
                            ($0.error as? PagerError)?.kernelError?.errno == .tooManyFiles
                        })
                    #expect(log.failures.contains { ($0.error as? PagerError)?.code == .system })
                    for descriptor in spare { _ = ctest_close(descriptor) }
                }
                let tree = FamilyTree(runs, generations: 2)
                #expect(await FamilyTree.wait(tree.fork()) == 0)
            }
        }
    }

    /// Where the hard limit allows it, descriptors are never the reason for a fork to wait.
    @Test func `a full table under a soft limit is no reason to wait`() async {
        await #expect(processExitsWith: .success) {
            try await withPager(Pager.Configuration(events: .fork)) { pager in
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                #expect(await words(region.range.start, 2) == [1, 2])
                await DescriptorHog.withFullTable {
                    // More than are kept back, while nobody closes any.
                    let hold = await LoopHold.take(pager.reactor)
                    let tree = FamilyTree([FamilyTree.run(region, 0..<2, first: 1)])
                    for _ in 0..<20 { #expect(await FamilyTree.wait(tree.fork()) == 0) }
                    hold.release()
                }
                try await eventually { await pager.statistics.events == 20 }
            }
        }
    }

    @Test func `descriptors of children that have ended are given back when they are wanted`() async {
        await #expect(processExitsWith: .success) {
            let policy = ForkPolicy.serve(handlerFor: { $0.handler })
            try await withPager(Pager.Configuration(events: .fork, forkPolicy: policy)) { pager in
                let region = try await pager.map(
                    byteCount: 8 * SystemPage.size, handler: NumberedPages(first: 1),
                    options: RegionOptions(isInheritedByFork: true))
                _ = ctest_set_descriptor_limit(64)
                let forker = FaultingThread { ctest_fork_over_and_over(200) }
                #expect(await forker.value == 0)
                #expect(await words(region.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
            }
        }
    }
}
