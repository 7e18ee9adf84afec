import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Pages that threads install themselves, from what is in memory.
@Suite(.requiresUserfaultfd(.sigbus), .timeLimit(.minutes(5)))
struct InThreadServingTests {
    let page = SystemPage.size

    @Test(arguments: [1, 8])
    func `many pages, read by many threads in any order, hold what they should`(pagesPerFault: Int)
        async throws
    {
        try await withInThreadPager { pager in
            let pages = TestProcess.hasSanitizer ? 400 : 4096
            // The last eighth lies behind the end of the bytes, which is in the middle of a page.
            let full = pages / 8 * 7
            let source = try numberedBytes(full * page + 100, first: 7, lead: 24)
            let region = try await pager.map(
                byteCount: pages * page, handler: MemoryHandler(source, startingAt: 24),
                options: RegionOptions(pagesPerFault: pagesPerFault))
            let threads = (0..<8).map { seed in
                FaultingThread { () -> [Int] in
                    var order = Array(0..<pages)
                    var generator = SeededGenerator(seed: UInt64(seed))
                    order.shuffle(using: &generator)
                    return order.filter { number in
                        let end = (number + 1) * region.pageSize
                        let first = region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
                        let last = region.load(fromByteOffset: end - 8, as: UInt64.self)
                        if number == full { return first != 0xDDDD_DDDD_DDDD_DDDD || last != 0 }
                        let expected = number < full ? UInt64(number) + 7 : 0
                        return first != expected || last != expected
                    }
                }
            }
            for thread in threads { #expect(await thread.value == []) }
            #expect(
                region.load(fromByteOffset: full * page + 96, as: UInt64.self) == 0xDDDD_DDDD,
                "zero behind the end")
            let statistics = await pager.statistics
            #expect(statistics.inThreadPages == pages - 1)
            #expect(statistics.presentPages == pages)
            #expect(statistics.bytes == pages * page)
            #expect(statistics.requests == 1, "only the page in which the bytes end is asked of the handler")
            #expect(statistics.inThreadResolutions <= statistics.inThreadPages)
            #expect(pagesPerFault > 1 || statistics.inThreadResolutions == pages - 1)
        }
    }

    @Test func `a fault may bring the pages behind it, but not over what is there`() async throws {
        try await withInThreadPager { pager in
            let source = try numberedBytes(64 * page, first: 1)
            let region = try await pager.map(
                byteCount: 64 * page, handler: MemoryHandler(source),
                options: RegionOptions(pagesPerFault: 16))
            let thread = FaultingThread {
                region.store(UInt64(99), toByteOffset: 20 * region.pageSize)
                return (0..<64).map { region.word(ofPage: $0) }
            }
            let expected = (0..<64).map { $0 == 20 ? 99 : UInt64($0) + 1 }
            #expect(await thread.value == expected)
            let statistics = await pager.statistics
            // From page 20: 16. Then 0…15, 16…19, 36…51, 52…63.
            #expect(statistics.inThreadResolutions == 5)
            #expect(statistics.inThreadPages == 64)
            #expect(statistics.messages == 0)
        }
    }

    @Test func `zeroes need no source, and a write to one is a single fault`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(byteCount: 32 * page, handler: ZeroFillHandler())
            let thread = FaultingThread {
                for number in 0..<16 {
                    region.store(UInt64(number), toByteOffset: number * region.pageSize + 8)
                }
                return (0..<32).allSatisfy { number in
                    region.word(ofPage: number) == 0
                        && region.load(fromByteOffset: number * region.pageSize + 8, as: UInt64.self)
                            == (number < 16 ? UInt64(number) : 0)
                }
            }
            #expect(await thread.value)
            #expect(await pager.statistics.inThreadResolutions == 32)
            #expect(await pager.statistics.messages == 0)
        }
    }

    @Test func `a mapped file is copied by the thread that needs it`() async throws {
        let file = TemporaryFile((0..<3 * page + 10).map { UInt8(truncatingIfNeeded: $0 / page + 1) })
        try await withInThreadPager { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: FileHandler(path: file.path))
            let thread = FaultingThread {
                (0..<8).map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt8.self) }
            }
            #expect(await thread.value == [1, 2, 3, 4, 0, 0, 0, 0])
            #expect(await pager.statistics.inThreadResolutions == 7)
        }
    }

    @Test(.requiresUserfaultfd([.sigbus, .minorSharedMemory, .missingSharedMemory]))
    func `existing pages of shared memory are mapped, and absent ones supplied`() async throws {
        try await withInThreadPager { pager in
            let memory = try SharedMemory(byteCount: 16 * page)
            for number in 0..<8 { memory.store(UInt64(number) + 100, toByteOffset: number * page) }
            let region = try await pager.map(
                memory, handler: MemoryHandler(try numberedBytes(16 * page, first: 500)),
                options: RegionOptions(modes: [.missing, .minor]))
            let thread = FaultingThread { (0..<16).map { region.word(ofPage: $0) } }
            #expect(await thread.value == (0..<16).map { UInt64($0 < 8 ? $0 + 100 : $0 + 500) })
            let writer = FaultingThread { region.store(UInt64(5), toByteOffset: 0) }
            await writer.value
            #expect(memory.load(fromByteOffset: 0, as: UInt64.self) == 5, "it is the same memory")
            #expect(await pager.statistics.inThreadResolutions == 16)
            #expect(await pager.statistics.messages == 0)
        }
    }

    @Test(.requiresUserfaultfd([.sigbus, .minorSharedMemory, .missingSharedMemory]))
    func `a handler that only maps is asked for what is not there, and told which of the two it is`()
        async throws
    {
        try await withInThreadPager { pager in
            let memory = try SharedMemory(byteCount: 4 * page)
            memory.store(UInt64(1), toByteOffset: 0)
            let both = RegionOptions(modes: [.missing, .minor])
            let mapping = try await pager.map(memory, handler: ExistingPages(), options: both)
            let thread = FaultingThread { [0, 2].map { mapping.word(ofPage: $0) } }
            #expect(await thread.value == [1, 42])
            #expect(await pager.statistics.inThreadResolutions == 1)

            let other = try SharedMemory(byteCount: 4 * page)
            other.store(UInt64(2), toByteOffset: page)
            let kinds = Lock<[Fault.Kind]>([])
            let handler = ClosureHandler { request in
                kinds.withLock { $0.append(request.kind) }
                if request.kind == .minor { return .mapExisting }
                return try .copy(NumberedPages.buffer(for: request, first: 40))
            }
            let asked = try await pager.map(other, handler: handler, options: both)
            let second = FaultingThread { [1, 3].map { asked.word(ofPage: $0) } }
            #expect(await second.value == [2, 43])
            #expect(kinds.withLock { $0 } == [.minor, .missing])
        }
    }

    @Test func `threads that race for the same pages find the same contents`() async throws {
        try await withInThreadPager { pager in
            let pages = TestProcess.hasSanitizer ? 100 : 1000
            let region = try await pager.map(
                byteCount: pages * page, handler: MemoryHandler(try numberedBytes(pages * page, first: 3)))
            let barrier = Barrier(8)
            let threads = (0..<8).map { _ in
                FaultingThread {
                    (0..<pages).filter { number in
                        barrier.wait()
                        return region.word(ofPage: number) != UInt64(number) + 3
                    }
                }
            }
            for thread in threads { #expect(await thread.value == []) }
            let statistics = await pager.statistics
            #expect(statistics.inThreadPages == pages, "each was installed once")
            #expect(statistics.presentPages == pages)
        }
    }

    @Test func `pages that the program drops are installed anew`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(
                byteCount: 8 * page, handler: MemoryHandler(try numberedBytes(8 * page, first: 1)))
            let thread = FaultingThread {
                region.store(UInt64(77), toByteOffset: 3 * region.pageSize)
                let isDropped = MemoryProbe.discard(
                    region.address(ofPage: 3), byteCount: region.pageSize)
                return isDropped && region.word(ofPage: 3) == 4
            }
            #expect(await thread.value)
            #expect(await pager.statistics.inThreadPages == 2)
            #expect(await pager.statistics.presentPages == 1)
        }
    }

    @Test func `a prefetch passes over what threads have installed`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(
                byteCount: 64 * page, handler: MemoryHandler(try numberedBytes(64 * page, first: 1)))
            let early = FaultingThread { [5, 6, 40].map { region.word(ofPage: $0) } }
            #expect(await early.value == [6, 7, 41])
            let part = AddressRange(start: region.range.start, byteCount: 32 * page)
            let done = try await region.prefetch(part)
            #expect(done.skippedPages == 2)
            #expect(done.requestedPages == 30)
            var statistics = await pager.statistics
            #expect(statistics.exists == 0)
            #expect(statistics.presentPages == 33)
            let late = FaultingThread { (0..<64).allSatisfy { region.word(ofPage: $0) == UInt64($0) + 1 } }
            #expect(await late.value)
            statistics = await pager.statistics
            #expect(statistics.inThreadPages == 3 + 31)
            #expect(statistics.presentPages == 64)
        }
    }

    @Test func `a system call on a missing page fails, and works once the page was touched`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(
                byteCount: 4 * page, handler: MemoryHandler(try numberedBytes(4 * page, first: 9)))
            let start = region.address(ofPage: 1)
            #expect(MemoryProbe.readThroughKernel(start, count: 1) == nil)
            #expect(!MemoryProbe.writeThroughKernel(start, [1]))
            let thread = region.reader(ofPage: 1)
            #expect(await thread.value == 10)
            #expect(MemoryProbe.readThroughKernel(start, count: 1) == [10])
            #expect(MemoryProbe.writeThroughKernel(start, [11]))
        }
    }

    @Test func `a descriptor for user mode only is enough`() async throws {
        let reactor = try Reactor.start()
        let descriptor = try Userfaultfd(
            requiring: .sigbus, requesting: .poison, trying: [.userModeOnly])
        let pager = try await Pager(
            on: reactor, descriptor: descriptor, configuration: Pager.Configuration(resolution: .inThread))
        let region = try await pager.map(
            byteCount: 4 * page, handler: MemoryHandler(try numberedBytes(4 * page, first: 9)))
        #expect(await region.reader(ofPage: 2).value == 11)
        await pager.shutdown()
        await reactor.shutdown()
    }
}

/// Maps what is there, and gives 40 + its number for a page that is not.
private struct ExistingPages: InMemoryHandler {
    var inThreadSource: InThreadSource? { .existing }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        #expect(request.kind == .missing)
        return try .copy(NumberedPages.buffer(for: request, first: 40))
    }
}

/// Where threads wait for each other.
///
/// Sendable: it is made to be waited at by several threads. Whoever waits at it keeps it.
@safe
final class Barrier: @unchecked Sendable {
    private let pointer: OpaquePointer
    init(_ count: Int32) { unsafe pointer = ctest_barrier_make(count) }
    deinit { unsafe ctest_barrier_free(pointer) }
    func wait() { unsafe ctest_barrier_wait(pointer) }
}
