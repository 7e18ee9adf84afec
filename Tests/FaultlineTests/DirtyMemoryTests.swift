import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Ordinary memory, for as long as this object lives.
private final class PlainMemory: Sendable {
    let range: AddressRange

    init(pages: Int) {
        let byteCount = pages * SystemPage.size
        range = AddressRange(start: MemoryProbe.map(byteCount: byteCount), byteCount: byteCount)
    }

    deinit { MemoryProbe.unmap(range.start, byteCount: range.byteCount) }

    func write(_ page: Int, _ value: UInt8 = 1) {
        let address = range.start + UInt(page * SystemPage.size)
        guard let byte = unsafe UnsafeMutablePointer<UInt8>(bitPattern: address) else { return }
        unsafe byte.pointee = value
    }

    func read(_ page: Int) -> UInt8 { MemoryProbe.byte(at: range.start + UInt(page * SystemPage.size)) }

    func pages(_ first: Int, _ count: Int) -> AddressRange {
        AddressRange(start: range.start + UInt(first * SystemPage.size), byteCount: count * SystemPage.size)
    }
}

/// Tracking of memory that no handler supplies.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)))
struct DirtyMemoryTests {
    @Test(arguments: [nil, DirtyTracker.Engine.messages])
    func `ordinary memory is tracked, by the best engine or the one that is asked for`(
        engine: DirtyTracker.Engine?
    ) async throws {
        let reactor = try Reactor.start()
        let memory = PlainMemory(pages: 300)
        for page in 0..<100 { memory.write(page) }
        let tracker = try await DirtyTracker(tracking: memory.range, engine: engine, on: reactor)
        if let engine { #expect(tracker.engine == engine) }
        let seed = TestSeed()
        for round in 0..<5 {
            let written = await FaultingThread {
                var random = TestRandom(seed, stream: UInt64(round))
                return Set(
                    (0..<round * 30).map { _ in
                        let page = random.below(300)
                        memory.write(page, UInt8(round))
                        _ = memory.read(random.below(300))
                        return page
                    })
            }.value
            #expect(try await tracker.peek().numbers(from: memory.range.start) == written.sorted(), "\(seed)")
            #expect(
                try await tracker.collect().numbers(from: memory.range.start) == written.sorted(), "\(seed)")
        }
        await tracker.stop()
        let over = await #expect(throws: PagerError.self) { try await tracker.collect() }
        #expect(over?.code == .shutDown)
        // The memory is as it was, and can be tracked again.
        let kept = await FaultingThread {
            for page in 0..<300 { memory.write(page, 7) }
            return (0..<300).allSatisfy { memory.read($0) == 7 }
        }.value
        #expect(kept)
        var second: DirtyTracker? = try await DirtyTracker(
            tracking: memory.range, engine: engine, on: reactor)
        await FaultingThread { memory.write(42) }.value
        #expect(try await second?.collect().numbers(from: memory.range.start) == [42])
        second = nil
        await reactor.shutdown()
    }

    // In a process of its own: it makes a hole and fills it, and meanwhile others would take the addresses.
    @Test(.requiresUserfaultfd(.asynchronousWriteProtect))
    func `the kernel needs no reactor to track`() async {
        await #expect(processExitsWith: .success) {
            let memory = PlainMemory(pages: 64)
            let tracker = try await DirtyTracker(tracking: memory.range)
            #expect(tracker.engine == .asynchronous)
            for page in [3, 4, 5, 60] { memory.write(page) }
            let written = try await tracker.collect()
            #expect(written.ranges == [memory.pages(3, 3), memory.pages(60, 1)])
            #expect(
                written.contains(memory.pages(4, 1).start + 17) && !written.contains(memory.pages(6, 1).start)
            )
            // What is dropped reads otherwise than before, and counts.
            #expect(MemoryProbe.discard(memory.pages(3, 1).start, byteCount: SystemPage.size))
            #expect(try await tracker.collect().ranges == [memory.pages(3, 1)])
            // What is unmapped is not there to be written; what is mapped in its place is not tracked.
            MemoryProbe.unmap(memory.pages(10, 1).start, byteCount: SystemPage.size)
            memory.write(11)
            #expect(try await tracker.collect().ranges == [memory.pages(11, 1)])
            let base = unsafe UnsafeMutableRawPointer(bitPattern: memory.pages(10, 1).start)
            let mapped = unsafe mmap(
                base, SystemPage.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0)
            #expect(unsafe mapped == base)
            let error = await #expect(throws: PagerError.self) { try await tracker.collect() }
            #expect(error?.code == .shutDown)
        }
    }

    @Test(.requiresUserfaultfd(.asynchronousWriteProtect))
    func `a page in several pieces of the answer is reported once, however many ranges there are`()
        async throws
    {
        // More ranges than fit into one call.
        let memory = PlainMemory(pages: 6000)
        let tracker = try await DirtyTracker(tracking: memory.range)
        for page in stride(from: 0, to: 6000, by: 2) { memory.write(page) }
        let written = try await tracker.collect()
        #expect(written.numbers(from: memory.range.start) == Array(stride(from: 0, to: 6000, by: 2)))
        #expect(written.ranges.count == 3000)
        #expect(try await tracker.collect().isEmpty)
    }

    @Test func `memory that cannot be tracked is refused with a reason`() async throws {
        let memory = PlainMemory(pages: 4)
        let noReactor = await #expect(throws: PagerError.self) {
            try await DirtyTracker(tracking: memory.range, engine: .messages)
        }
        #expect(noReactor?.code == .unsupportedOperation)
        let other = try Userfaultfd()
        _ = try other.register(memory.range, modes: .missing)
        let reactor = try Reactor.start()
        for engine in [DirtyTracker.Engine.messages, .asynchronous] {
            let taken = await #expect(throws: PagerError.self) {
                try await DirtyTracker(tracking: memory.range, engine: engine, on: reactor)
            }
            #expect(taken?.kernelError?.errno == .busy || taken?.code == .unsupportedOperation)
        }
        let odd = AddressRange(start: memory.range.start + 1, byteCount: SystemPage.size)
        await #expect(throws: PagerError.self) { try await DirtyTracker(tracking: odd, on: reactor) }
        await reactor.shutdown()
    }

    @Test func `sets of pages are merged, and told apart by page`() {
        let pages = DirtyPages(
            [(40, 8), (0, 8), (8, 8), (16, 4), (20, 4), (44, 12)].map {
                AddressRange(start: $0, byteCount: $1)
            },
            pageSize: 4)
        #expect(
            pages.ranges == [AddressRange(start: 0, byteCount: 24), AddressRange(start: 40, byteCount: 16)])
        #expect(pages.pageCount == 10 && pages.byteCount == 40)
        #expect((0..<24).allSatisfy { pages.contains($0) } && (40..<56).allSatisfy { pages.contains($0) })
        #expect(!pages.contains(24) && !pages.contains(39) && !pages.contains(56))
        var all = pages
        all.formUnion(DirtyPages([AddressRange(start: 24, byteCount: 16)], pageSize: 4))
        #expect(all.ranges == [AddressRange(start: 0, byteCount: 56)])
        #expect(DirtyPages([], pageSize: 4).isEmpty)
    }
}

/// What protection leaves behind where pages are absent, and what the pager does about it.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]), .timeLimit(.minutes(5)))
struct ProtectionMarkTests {
    let page = SystemPage.size

    @Test(arguments: [false, true])
    func `absent pages that were protected are filled, given up and sealed all the same`(isShared: Bool)
        async throws
    {
        let log = FailureLog()
        let start = MemoryProbe.map(byteCount: 8 * page)
        defer { MemoryProbe.unmap(start, byteCount: 8 * page) }
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                switch request.offset / request.pageSize {
                case 0: return .zero
                case 1: return .poison
                case 2: throw StoreIsDown()
                case 3:
                    var buffer = try request.makeBuffer()
                    buffer.store(UInt64(5), toByteOffset: 0)
                    return request.region.start == start ? .move(buffer) : .copy(buffer)
                default: return .zero
                }
            }
            let options = RegionOptions(maximumRequestPages: 1, modes: [.missing, .writeProtect])
            let region =
                if isShared {
                    try await pager.map(SharedMemory(byteCount: 8 * page), handler: handler, options: options)
                } else {
                    try await unsafe pager.register(
                        unsafeMemoryAt: AddressRange(start: start, byteCount: 8 * page), handler: handler,
                        options: options)
                }
            try await pager.protect(region)
            let values = await FaultingThread {
                [0, 3].map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }.value
            #expect(values == [0, 5])
            if UserfaultfdRequirement.unmet([], kernelFaults: true) == nil {
                let poisoned = await FaultingThread {
                    [1, 2].map {
                        MemoryProbe.readThroughKernel(
                            region.range.start + UInt($0 * region.pageSize), count: 1)
                    }
                }.value
                #expect(poisoned == [nil, nil])
            }
            await FaultingThread {
                for number in [0, 3] { region.store(UInt8(1), toByteOffset: number * region.pageSize) }
            }.value
            try await pager.unmap(region)
            let kept = await FaultingThread {
                MemoryProbe.readThroughKernel(region.range.start, count: 1) == [1]
                    && MemoryProbe.readThroughKernel(region.range.start + UInt(3 * region.pageSize), count: 1)
                        == [1]
            }.value
            #expect(kept)
            let sealed = await FaultingThread {
                MemoryProbe.readThroughKernel(region.range.start + UInt(6 * region.pageSize), count: 1)
            }.value
            #expect(sealed == nil, "nobody supplied this page")
        }
    }

    @Test func `a region whose pages the kernel makes keeps them when it goes out of service`() async throws {
        try await withPager { pager in
            // Large enough to be replaced, were it taken for absent.
            let region = try await pager.map(
                byteCount: 8192 * page, handler: ZeroFillHandler(),
                options: RegionOptions(modes: .writeProtect))
            await FaultingThread { region.store(UInt8(3), toByteOffset: 100 * region.pageSize) }.value
            try await pager.unmap(region)
            let value = await FaultingThread {
                region.load(fromByteOffset: 100 * region.pageSize, as: UInt8.self)
            }.value
            #expect(value == 3)
        }
    }
}
