import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Memory that its process registers itself: here it is this process's own, which the kernel does not mind.
final class PeerMemory: Sendable {
    let range: AddressRange
    private let features: Features
    private let descriptor: OwnedDescriptor

    /// - Parameter growsDown: whether the mapping grows downwards when somebody touches what lies below it.
    init(pages: Int, features: Features = [], growsDown: Bool = false) throws {
        let page = SystemPage.size
        // Room on both sides, which nothing else uses.
        let space = FreeAddresses(byteCount: (pages + 600) * page).range
        range = AddressRange(start: space.start + UInt(300 * page), byteCount: pages * page)
        // It grows into a gap too small for others to settle in; what cannot be touched may be as near as that.
        if growsDown {
            try #require(ctest_munmap(UInt64(range.start) - UInt64(8 * page), UInt64(8 * page)) == 0)
        }
        let kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | (growsDown ? MAP_GROWSDOWN : 0)
        try #require(
            ctest_mmap(UInt64(range.start), UInt64(range.byteCount), PROT_READ | PROT_WRITE, kind, -1)
                == Int64(range.start))
        let opened = try Userfaultfd(requiring: features, requesting: .poison)
        self.features = opened.features
        descriptor = OwnedDescriptor(owning: opened.release())
    }

    /// What is handed over.
    func handOver() -> Userfaultfd {
        Userfaultfd(adopting: ctest_duplicate(descriptor.fileDescriptor), features: features)
    }

    /// What the process does when its memory is where it belongs.
    func register() throws { _ = try handOver().register(range, modes: .missing) }

    /// Closes the process's own descriptor: from now on only the pager has it.
    func close() { _ = ctest_close(descriptor.release()) }

    func addresses(_ pages: Range<Int>) -> AddressRange {
        AddressRange(
            start: range.start + UInt(pages.lowerBound * SystemPage.size),
            byteCount: pages.count * SystemPage.size)
    }
}

@Suite("Memory that its process registers", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct AdoptionByPeerTests {
    private let page = SystemPage.size

    private func numbered(_ range: AddressRange, first: UInt64) -> AdoptableRange {
        AdoptableRange(range, registration: .byPeer, handler: NumberedPages(first: first))
    }

    private func withReactor(_ body: (Reactor) async throws -> Void) async throws {
        let reactor = try Reactor.start()
        do { try await body(reactor) } catch {
            await reactor.shutdown()
            throw error
        }
        await reactor.shutdown()
    }

    @Test func `is served from when it is registered on`() async throws {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 8)
            let failures = FailureLog()
            let pager = try await Pager(
                on: reactor, adopting: memory.handOver(), [numbered(memory.range, first: 1)],
                configuration: Pager.Configuration(onFailure: { failures.add($0) }))
            // Not yet.
            #expect(await words(memory.range.start, 2) == [0, 0])
            #expect(await pager.statistics.messages == 0)
            try memory.register()
            #expect(await words(memory.range.start, 8) == [0, 0, 3, 4, 5, 6, 7, 8])
            #expect(await pager.statistics.messages > 0)
            await pager.shutdown()
            #expect(failures.failures.isEmpty)
            #expect(await words(memory.range.start, 8) == [0, 0, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test func `adopted one by one it is the same, and the other way takes no notice of it`() async throws {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 8)
            let pager = try await Pager(on: reactor, adopting: memory.handOver())
            let region = try await pager.adopt(
                memory.range, registration: .byPeer, handler: NumberedPages(first: 1))
            try memory.register()
            #expect(await words(memory.range.start, 3) == [1, 2, 3])
            try await pager.release(region)
            await pager.shutdown()
        }
    }

    @Test func `pages that come too early are dropped, and told, and come when it is registered`()
        async throws
    {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 8)
            let failures = FailureLog()
            let pager = try await Pager(
                on: reactor, adopting: memory.handOver(), [numbered(memory.range, first: 1)],
                configuration: Pager.Configuration(onFailure: { failures.add($0) }))
            let early = try await pager.prefetchAll()
            #expect(early.failedPages == 8)
            #expect(!failures.failures.isEmpty)
            #expect(failures.failures.allSatisfy { $0.action == .dropped && memory.range.contains($0.range) })
            try memory.register()
            let late = try await pager.prefetchAll()
            #expect(late.failedPages == 0)
            #expect(await pager.statistics.presentPages == 8)
            await pager.shutdown()
            #expect(await words(memory.range.start, 8) == [1, 2, 3, 4, 5, 6, 7, 8])
        }
    }

    @Test(.requiresUserfaultfd(.poison)) func `never registered, it is let go without a word`() async throws {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 5000)
            let failures = FailureLog()
            let pager = try await Pager(
                on: reactor, adopting: memory.handOver(), [numbered(memory.range, first: 1)],
                configuration: Pager.Configuration(onFailure: { failures.add($0) }))
            await pager.shutdown()
            #expect(failures.failures.isEmpty)
            #expect(await words(memory.range.start, 2) == [0, 0])
        }
    }

    /// Whoever moves a whole mapping at the end must not find it in pieces.
    @Test func `mappings stay in one piece while the pager stops, and are let go of with the descriptor`()
        async throws
    {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 16)
            let ranges = [0..<3, 5..<8, 10..<12].map { numbered(memory.addresses($0), first: 1) }
            let pager = try await Pager(
                on: reactor, adopting: memory.handOver(), ranges,
                configuration: Pager.Configuration(memoryOutside: .zero))
            try memory.register()
            #expect(await words(memory.range.start, 4) == [1, 2, 3, 0])
            #expect(try await pager.prefetchAll().failedPages == 0)
            await pager.shutdown()
            // The process has a copy of the descriptor still.
            #expect(try mappings(in: memory.range) == [memory.range])
            memory.close()
            #expect(try mappings(in: memory.range) == [memory.range])
            #expect(await words(memory.range.start, 12) == [1, 2, 3, 0, 0, 1, 2, 3, 0, 0, 1, 2])
        }
    }

    @Test func `ranges that overlap, or are none, are refused, and the descriptor is closed`() async throws {
        try await withReactor { reactor in
            let memory = try PeerMemory(pages: 8)
            let cases = [
                [numbered(memory.range, first: 1), numbered(memory.addresses(3..<4), first: 1)],
                [numbered(AddressRange(start: memory.range.start + 1, byteCount: page), first: 1)],
                [numbered(AddressRange(start: memory.range.start, byteCount: 0), first: 1)],
                [AdoptableRange(memory.range, pageSize: 0, handler: NumberedPages())],
                [AdoptableRange(memory.range, offset: -page, handler: NumberedPages())],
            ]
            for ranges in cases {
                let descriptor = memory.handOver()
                let number = descriptor.fileDescriptor
                do throws(PagerError) {
                    _ = try await Pager(on: reactor, adopting: descriptor, ranges)
                    Issue.record("it was taken")
                } catch {
                    #expect([.overlap, .invalidRange].contains(error.code), "\(error)")
                }
                try await eventually { ctest_is_open(number) == 0 }
            }
        }
    }
}

/// The mappings of this process that lie in `range`, in part or whole.
private func mappings(in range: AddressRange) throws -> [AddressRange] {
    let file = unsafe open("/proc/self/maps", O_RDONLY)
    try #require(file >= 0)
    defer { close(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = unsafe read(file, &part, part.count)
        try #require(count >= 0)
        if count == 0 { break }
        bytes += part.prefix(count)
    }
    return try bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
        let ends = line.prefix { $0 != UInt8(ascii: " ") }.split(separator: UInt8(ascii: "-"))
        try #require(ends.count == 2)
        let start = try #require(UInt(String(decoding: ends[0], as: UTF8.self), radix: 16))
        let end = try #require(UInt(String(decoding: ends[1], as: UTF8.self), radix: 16))
        return end > range.start && start < range.end
            ? AddressRange(start: start, byteCount: Int(end - start)) : nil
    }
}
