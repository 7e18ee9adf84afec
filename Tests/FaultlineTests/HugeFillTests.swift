import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Pieces of 2 MiB that become huge pages when they are filled at once.
@Suite(
    .requiresUserfaultfd(.move), .timeLimit(.minutes(5)),
    .enabled(
        if: HugePages.areMade, "needs transparent huge pages (/sys/kernel/mm/transparent_hugepage/enabled)"))
struct HugeFillTests {
    private let huge = HugePages.size
    private let pages = HugePages.size / SystemPage.size
    private let options = RegionOptions(readAhead: .adaptive, fillsHugePages: true)

    /// The words of a page that tell it from others: its ends, and some in between.
    private static let words =
        Array(stride(from: 0, to: SystemPage.size / 8, by: 73)) + [SystemPage.size / 8 - 1]

    private static func word(_ word: Int, of page: Int, first: Int) -> UInt64 {
        UInt64(word << 32 + page + first)
    }

    /// Pages with words of their own; `first` tells one source from another.
    private func source(_ count: Int, first: Int = 1) throws -> PageSource {
        try PageSource(byteCount: count * SystemPage.size) { span in
            unsafe span.withUnsafeMutableBytes { bytes, filled in
                for page in 0..<count {
                    for word in Self.words {
                        unsafe bytes.storeBytes(
                            of: Self.word(word, of: page, first: first),
                            toByteOffset: page * SystemPage.size + 8 * word, as: UInt64.self)
                    }
                }
                filled = bytes.count
            }
        }
    }

    /// The pages of `region` that do not hold what they should.
    private func wrongPages(_ region: Region, _ numbers: Range<Int>, first: Int = 1) async -> [Int] {
        await FaultingThread {
            numbers.filter { page in
                Self.words.contains { word in
                    region.load(fromByteOffset: page * region.pageSize + 8 * word, as: UInt64.self)
                        != Self.word(word, of: page, first: first)
                }
            }
        }.value
    }

    @Test func `a reader that goes on finds huge pages`() async throws {
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: 8 * huge, handler: MemoryHandler(try source(8 * pages)), options: options)
            #expect(region.range.isAligned(to: huge))
            #expect(await wrongPages(region, 0..<8 * pages) == [])
            let statistics = await pager.statistics
            // The reader begins with small steps.
            #expect(statistics.hugeFills >= 5)
            // The kernel may have put others together in the background meanwhile.
            #expect(try HugePages.byteCount(of: region.range) >= statistics.hugeFills * huge)
            #expect(statistics.presentPages == 8 * pages)
            #expect(statistics.failures == 0 && statistics.exists == 0 && statistics.inFlightPages == 0)
            #expect(statistics.bytes == 8 * huge)
        }
    }

    /// A buffer becomes part of the region as it is; of a source in memory a copy does.
    @Test(arguments: [true, false], [true, false])
    func `a prefetch fills huge pages only`(isBuffer: Bool, isAsync: Bool) async throws {
        try await withPager { pager in
            let source = try source(6 * pages)
            let handler = ClosureHandler { request in
                if isAsync { try await request.waitOnTimer(.microseconds(50), on: pager.reactor) }
                guard isBuffer else { return .copy(from: source, at: request.offset) }
                var buffer = try request.makeBuffer()
                let first = request.offset / request.pageSize
                for page in 0..<request.pageCount {
                    for word in Self.words {
                        buffer.store(
                            Self.word(word, of: first + page, first: 1),
                            toByteOffset: page * request.pageSize + 8 * word)
                    }
                }
                return .copy(buffer)
            }
            let region = try await pager.map(byteCount: 6 * huge, handler: handler, options: options)
            let progress = try await region.prefetch()
            #expect(progress.requestedPages == 6 * pages)
            let statistics = await pager.statistics
            #expect(statistics.hugeFills == 6)
            #expect(statistics.copies == 0)
            #expect(try HugePages.byteCount(of: region.range) == 6 * huge)
            #expect(await wrongPages(region, 0..<6 * pages) == [])
            #expect(await pager.statistics.messages == 0)
        }
    }

    @Test func `only pieces of which nothing is there yet`() async throws {
        try await withPager { pager in
            var options = options
            options.readAhead = .none
            let region = try await pager.map(
                byteCount: 4 * huge + 3 * SystemPage.size,
                handler: MemoryHandler(try source(4 * pages + 3)), options: options)
            #expect(await wrongPages(region, pages + 7..<pages + 9) == [])
            try await region.prefetch()
            #expect(await pager.statistics.hugeFills == 3)
            #expect(await wrongPages(region, 0..<region.pageCount) == [])
            let statistics = await pager.statistics
            #expect(statistics.presentPages == region.pageCount)
            #expect(statistics.exists == 0 && statistics.failures == 0)
        }
    }

    /// Where the pager must not read itself, or the kernel does not move, nothing changes but the time.
    @Test func `memory of others and files are copied by the kernel`() async throws {
        let own = try source(3 * pages)
        let bytes = own.withBytes(0..<own.byteCount) { span in
            unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
        }
        let file = TemporaryFile(bytes)
        try await withPager { pager in
            let borrowed = unsafe PageSource(unsafeMemoryAt: own.range)
            let handlers: [any FaultHandler] = [MemoryHandler(borrowed), try FileHandler(path: file.path)]
            for handler in handlers {
                let region = try await pager.map(byteCount: 3 * huge, handler: handler, options: options)
                try await region.prefetch()
                #expect(await wrongPages(region, 0..<3 * pages) == [])
            }
            let statistics = await pager.statistics
            #expect(statistics.hugeFills == 0 && statistics.moves == 0 && statistics.failures == 0)
        }
    }

    @Test func `memory that the kernel moves nothing to is copied to`() async throws {
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: 4 * huge, handler: MemoryHandler(try source(4 * pages)), options: options)
            // MLOCK_ONFAULT: locked memory and memory that is not do not exchange pages.
            try #require(ctest_mlock_on_fault(UInt64(region.range.start), UInt64(region.byteCount)) == 0)
            try await region.prefetch()
            let statistics = await pager.statistics
            #expect(statistics.failures == 0 && statistics.hugeFills == 0)
            #expect(statistics.moves == 1, "not tried again")
            #expect(await wrongPages(region, 0..<4 * pages) == [])
        }
    }

    @Test(.requiresUserfaultfd([.move, .removeEvents]))
    func `dropped pages come back, as small ones`() async throws {
        try await withPager(Pager.Configuration(events: .remove)) { pager in
            let round = Lock(1)
            let sources = [1, 1_000_000].map { first in Result { try source(4 * pages, first: first) } }
            let handler = ClosureHandler { request in
                .copy(from: try sources[round.withLock { $0 } == 1 ? 0 : 1].get(), at: request.offset)
            }
            var options = options
            options.removedPages = .askHandler
            let region = try await pager.map(byteCount: 4 * huge, handler: handler, options: options)
            try await region.prefetch()
            #expect(await pager.statistics.hugeFills == 4)
            round.withLock { $0 = 2 }
            // A part of one, and all of the next two.
            let dropped = 100..<3 * pages
            let change = region.addresses(dropped)
            #expect(await FaultingThread { Change.advise(change) }.value == 0)
            #expect(await wrongPages(region, 0..<100) == [])
            #expect(await wrongPages(region, dropped, first: 1_000_000) == [])
            #expect(await wrongPages(region, 3 * pages..<4 * pages) == [])
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test(.requiresUserfaultfd([.move, .writeProtectFaults, .writeProtectUnpopulated]))
    func `images and trackers see huge pages page by page`() async throws {
        try await withPager { pager in
            var options = options
            options.modes = [.missing, .writeProtect]
            let region = try await pager.map(
                byteCount: 4 * huge, handler: MemoryHandler(try source(4 * pages)), options: options)
            try await region.prefetch()
            #expect(await pager.statistics.hugeFills == 4)
            let tracker = try await region.trackDirty()
            let written = [3, 700, 701, 2047]
            await FaultingThread {
                for page in written { region.store(UInt64(9), toByteOffset: page * region.pageSize) }
            }.value
            #expect(try await tracker.collect().numbers(from: region.range.start) == written)
            await tracker.stop()
            let (image, report) = try await memorySnapshot(of: region)
            #expect(report.savedPages == 4 * pages)
            for page in 0..<4 * pages {
                let word = image.load(page * region.pageSize, as: UInt64.self)
                #expect(word == (written.contains(page) ? 9 : UInt64(page + 1)))
            }
        }
    }

    @Test func `threads that write meanwhile lose nothing`() async throws {
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: 16 * huge, handler: MemoryHandler(try source(16 * pages)), options: options)
            let seed = TestSeed()
            let writers = (0..<3).map { number in
                FaultingThread { () -> [Int] in
                    var random = TestRandom(seed, stream: UInt64(number))
                    var written: [Int: UInt64] = [:]
                    for _ in 0..<2000 {
                        let page = random.below(region.pageCount)
                        let value = random.next()
                        // A word of the thread's own; the one behind it is the source's.
                        let offset = page * region.pageSize + 8 * Self.words[number + 1] - 8
                        region.store(value, toByteOffset: offset)
                        written[page] = value
                    }
                    return written.filter { page, value in
                        let word = Self.words[number + 1]
                        let offset = page * region.pageSize + 8 * word - 8
                        let next = Self.word(word, of: page, first: 1)
                        return region.load(fromByteOffset: offset, as: UInt64.self) != value
                            || region.load(fromByteOffset: offset + 8, as: UInt64.self) != next
                    }.map(\.key)
                }
            }
            try await region.prefetch()
            for writer in writers { #expect(await writer.value == [], "\(seed)") }
            let statistics = await pager.statistics
            #expect(statistics.failures == 0 && statistics.inFlightPages == 0)
            #expect(statistics.presentPages == region.pageCount)
        }
    }

    @Test func `stripes of a group`() async throws {
        try await withGroup { group in
            let region = try await group.map(
                byteCount: 8 * huge, handler: MemoryHandler(try source(8 * pages)), options: options,
                layout: StripeLayout(stripeByteCount: 2 * huge))
            try await region.prefetch()
            #expect(await group.statistics.hugeFills == 8)
            let wrong = await FaultingThread {
                (0..<region.pageCount).filter {
                    region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) != UInt64($0 + 1)
                }
            }.value
            #expect(wrong == [])
        }
    }
}
