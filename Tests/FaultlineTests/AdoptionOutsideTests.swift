import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// What is registered and in no region is zero, whatever becomes of the regions. In processes of their own: nobody else takes
// the addresses around.
@Suite(
    "Memory outside of the regions", .requiresUserfaultfd([.remapEvents, .unmapEvents, .removeEvents]),
    .timeLimit(.minutes(5)))
struct AdoptionOutsideTests {
    private static func withPager(
        pages: Int, served: [Range<Int>], growsDown: Bool = false,
        _ body: (PeerMemory, Pager, FailureLog) async throws -> Void
    ) async throws {
        let reactor = try Reactor.start()
        let memory = try PeerMemory(
            pages: pages, features: [.remapEvents, .unmapEvents, .removeEvents], growsDown: growsDown)
        let failures = FailureLog()
        let ranges = served.map {
            AdoptableRange(
                memory.addresses($0), offset: $0.lowerBound * SystemPage.size, registration: .byPeer,
                handler: NumberedPages(first: 1))
        }
        let pager = try await Pager(
            on: reactor, adopting: memory.handOver(), ranges,
            configuration: Pager.Configuration(
                onFailure: { failures.add($0) }, memoryOutside: .zero))
        try memory.register()
        memory.close()
        try await body(memory, pager, failures)
        #expect(failures.failures.isEmpty)
        await reactor.shutdown()
    }

    @Test func `is zero, during the service and after it`() async {
        await #expect(processExitsWith: .success) {
            try await Self.withPager(pages: 12, served: [2..<4, 6..<8]) { memory, pager, _ in
                #expect(await words(memory.range.start, 8) == [0, 0, 3, 4, 0, 0, 7, 8])
                #expect(await pager.statistics.strays >= 4)
                await pager.shutdown()
                // What nobody had touched is no bus error.
                #expect(await words(memory.range.start, 12) == [0, 0, 3, 4, 0, 0, 7, 8, 0, 0, 0, 0])
            }
        }
    }

    @Test func `what grows is zero, downwards as well`() async {
        await #expect(processExitsWith: .success) {
            try await Self.withPager(pages: 8, served: [0..<8], growsDown: true) { memory, pager, _ in
                let page = SystemPage.size
                #expect(await words(memory.range.start - UInt(3 * page), 5) == [0, 0, 0, 1, 2])
                await pager.shutdown()
            }
            try await Self.withPager(pages: 8, served: [0..<8]) { memory, pager, _ in
                let page = SystemPage.size
                let target = FreeAddresses(byteCount: 16 * page).range.start
                #expect(Change.move(memory.range, to: target, byteCount: 12 * page))
                #expect(
                    await words(target, 12) == [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0])
                await pager.shutdown()
            }
        }
    }

    @Test func `what is left behind by a move is zero, and moved contents are not`() async {
        await #expect(processExitsWith: .success) {
            try await Self.withPager(pages: 8, served: [0..<8]) { memory, pager, _ in
                let page = SystemPage.size
                let target = FreeAddresses(byteCount: 8 * page).range.start
                #expect(Change.move(memory.range, to: target, keepsOld: true))
                #expect(await words(memory.range.start, 8) == [0, 0, 0, 0, 0, 0, 0, 0])
                #expect(await words(target, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
                // And what was left behind is moved in its turn.
                let other = FreeAddresses(byteCount: 8 * page).range.start
                #expect(Change.move(memory.range, to: other, keepsOld: true))
                #expect(await words(other, 8) == [0, 0, 0, 0, 0, 0, 0, 0])
                await pager.shutdown()
            }
        }
    }

    @Test func `everything is filled wherever it was moved, and nothing else`() async {
        await #expect(processExitsWith: .success) {
            try await Self.withPager(pages: 1024, served: [0..<500, 600..<1000]) { memory, pager, _ in
                let page = SystemPage.size
                let target = FreeAddresses(byteCount: 300 * page).range.start
                #expect(Change.move(memory.addresses(0..<300), to: target))
                #expect(Change.advise(memory.addresses(600..<650)) == 0)
                #expect(Change.unmap(memory.addresses(990..<1000)) == 0)
                let progress = try await pager.prefetchAll()
                #expect(progress.failedPages == 0)
                #expect(progress.requestedPages == 500 + 400 - 50 - 10)
                let statistics = await pager.statistics
                #expect(statistics.presentPages == 840)
                #expect(try await pager.prefetchAll().requestedPages == 0)
                await pager.shutdown()
                #expect(await words(target, 300) == (1...300).map { UInt64($0) })
                #expect(await words(memory.addresses(300..<500).start, 200) == (301...500).map { UInt64($0) })
                #expect(await words(memory.addresses(600..<650).start, 50).allSatisfy { $0 == 0 })
                #expect(await words(memory.addresses(650..<990).start, 340) == (651...990).map { UInt64($0) })
            }
        }
    }
}

@Suite("Filling everything", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct PrefetchAllTests {
    @Test func `waits for what is being supplied, in all regions`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let slow = try await pager.map(
                byteCount: 4 * SystemPage.size,
                handler: ClosureHandler { request in
                    await gate.wait()
                    return try .copy(NumberedPages.buffer(for: request))
                })
            let quick = try await pager.map(byteCount: 600 * SystemPage.size, handler: NumberedPages())
            let thread = FaultingThread { slow.load(fromByteOffset: 0, as: UInt64.self) }
            try await eventually { await pager.statistics.inFlightPages > 0 }
            async let progress = pager.prefetchAll()
            try await eventually { await pager.statistics.inFlightPages == 4 }
            gate.open()
            #expect(try await progress.requestedPages == 603)
            #expect(await thread.value == 0)
            #expect(await pager.statistics.presentPages == 604)
            withExtendedLifetime(quick) {}
        }
    }

    @Test func `ends when handlers fail, or its task is cancelled, or the pager`() async throws {
        try await withPager { pager in
            struct Refusal: Error {}
            let region = try await pager.map(
                byteCount: 10 * SystemPage.size, handler: ClosureHandler { _ in throw Refusal() })
            #expect(try await pager.prefetchAll().failedPages == 10)
            try await pager.unmap(region)
            let stuck = try await pager.map(
                byteCount: 10 * SystemPage.size,
                handler: ClosureHandler { _ in
                    try await Task.sleep(for: .seconds(3600))
                    return .zero
                })
            let task = Task { try await pager.prefetchAll() }
            try await eventually { await pager.statistics.inFlightPages == 10 }
            task.cancel()
            await pager.shutdown(within: .zero)
            await #expect(throws: PagerError.self) { _ = try await task.value }
            await #expect(throws: PagerError.self) { _ = try await pager.prefetchAll() }
            withExtendedLifetime(stuck) {}
        }
    }
}

@Suite(
    "What happens before adoption", .requiresUserfaultfd([.removeEvents, .remapEvents, .unmapEvents]),
    .timeLimit(.minutes(5)))
struct AdoptionDelayTests {
    /// Whoever causes an event waits until it is read, which nobody does before there is a pager.
    @Test func `is taken into account`() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let memory = try PeerMemory(pages: 16, features: [.removeEvents, .remapEvents, .unmapEvents])
            try memory.register()
            let target = FreeAddresses(byteCount: 4 * SystemPage.size).range.start
            let threads = [
                FaultingThread { Change.advise(memory.addresses(2..<6)) == 0 },
                FaultingThread { Change.move(memory.addresses(8..<12), to: target) },
                FaultingThread { Change.unmap(memory.addresses(14..<16)) == 0 },
            ]
            try await eventually { threads.allSatisfy { waitsForReader($0.threadID) } }
            let ranges = [0..<8, 8..<16].map {
                AdoptableRange(
                    memory.addresses($0), offset: $0.lowerBound * SystemPage.size, registration: .byPeer,
                    handler: NumberedPages(first: 1))
            }
            let pager = try await Pager(
                on: reactor, adopting: memory.handOver(), ranges,
                configuration: Pager.Configuration(memoryOutside: .zero))
            for thread in threads { #expect(await thread.value) }
            #expect(await words(memory.range.start, 8) == [1, 2, 0, 0, 0, 0, 7, 8])
            #expect(await words(target, 4) == [9, 10, 11, 12])
            #expect(await words(memory.addresses(12..<14).start, 2) == [13, 14])
            #expect(await pager.statistics.strays == 0)
            memory.close()
            await reactor.shutdown()
        }
    }
}

/// Whether a thread of this process waits until a message that it has caused is read.
private func waitsForReader(_ threadID: Int32) -> Bool {
    let file = unsafe open("/proc/self/task/\(threadID)/wchan", O_RDONLY)
    guard file >= 0 else { return false }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = unsafe read(file, &bytes, bytes.count)
    return String(decoding: bytes.prefix(max(count, 0)), as: UTF8.self) == "userfaultfd_event_wait_completion"
}
