import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct GroupServingTests {
    private let page = SystemPage.size

    @Test(arguments: [(1, 1), (2, 3), (3, 1), (3, 7), (5, 64), (2, 1000)])
    func `every page holds what it should, read by many threads in any order`(
        reactors: Int, pagesPerStripe: Int
    ) async throws {
        try await withGroup(reactors: reactors) { group in
            let pages = TestProcess.hasSanitizer ? 200 : 900
            let layout = StripeLayout(stripeByteCount: pagesPerStripe * page)
            let region = try await group.map(
                byteCount: pages * page - 5, handler: NumberedPages(first: 9), layout: layout)
            #expect(region.pageCount == pages)
            #expect(region.stripes.count == (pages + pagesPerStripe - 1) / pagesPerStripe)
            let threads = (0..<6).map { seed in
                FaultingThread {
                    var order = Array(0..<pages)
                    var generator = SeededGenerator(seed: UInt64(seed))
                    order.shuffle(using: &generator)
                    return order.allSatisfy { number in
                        let last = region.load(
                            fromByteOffset: (number + 1) * region.pageSize - 8, as: UInt64.self)
                        return region.word(number) == UInt64(number) + 9 && last == UInt64(number) + 9
                    }
                }
            }
            for thread in threads { #expect(await thread.value) }
            let sum = await group.statistics
            #expect(sum.presentPages == pages)
            #expect(sum.bytes == pages * page)
            #expect(sum.inFlightPages == 0)
            // Each reactor has served its own stripes, and nothing else.
            for (index, pager) in group.pagers.enumerated() {
                let own = region.stripes.filter { $0.index == index }.reduce(0) { $0 + $1.pageCount }
                #expect(await pager.statistics.presentPages == own)
                #expect(region.stripes.allSatisfy { group.pagers[$0.index] === $0.pager })
            }
        }
    }

    @Test func `several pagers of one reactor share its stripes, and go together`() async throws {
        try await withGroup(reactors: 2, pagersPerReactor: 3) { group in
            #expect(group.pagers.count == 6 && group.pagersPerReactor == 3)
            for (index, pager) in group.pagers.enumerated() {
                #expect(pager.reactor === group.reactors.reactors[index % 2])
            }
            for placement in [StripeLayout.Placement.inTurn, .pattern([1]), .pattern([0, 1, 0])] {
                let region = try await group.map(
                    byteCount: 60 * page, handler: NumberedPages(first: 1),
                    layout: StripeLayout(stripeByteCount: page, placement: placement))
                let isRight = await FaultingThread {
                    (0..<60).allSatisfy { region.word($0) == UInt64($0) + 1 }
                }.value
                #expect(isRight)
                // Each reactor's stripes are shared equally by its pagers.
                var counts: [ObjectIdentifier: Int] = [:]
                for stripe in region.stripes {
                    #expect(stripe.pager.reactor === group.reactors.reactors[stripe.index])
                    counts[ObjectIdentifier(stripe.pager), default: 0] += 1
                }
                switch placement {
                case .inTurn: #expect(counts.count == 6 && counts.values.allSatisfy { $0 == 10 })
                case .pattern([1]): #expect(counts.count == 3 && counts.values.allSatisfy { $0 == 20 })
                default:
                    #expect(counts.count == 6 && counts.values.allSatisfy { 6...14 ~= $0 })
                }
                try await group.unmap(region)
            }
            let one = try await group.map(byteCount: 12 * page, handler: NumberedPages(first: 1))
            await group.pagers[4].shutdown()
            try await group.waitUntilStopped()
            #expect(await !group.isServing && !one.canBeRead(5))
        }
    }

    @Test func `requests count from the start of the region and stay within a stripe`() async throws {
        try await withGroup(reactors: 2) { group in
            let seen = Lock<[FaultRequest]>([])
            let handler = ClosureHandler { request in
                seen.withLock { $0.append(request) }
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await group.map(
                byteCount: 32 * page, handler: handler, options: RegionOptions(readAhead: .adaptive),
                layout: StripeLayout(stripeByteCount: 8 * page))
            let isRight = await FaultingThread { (0..<32).allSatisfy { region.word($0) == UInt64($0) } }.value
            #expect(isRight)
            // Taken out: a request keeps its region, that its handler, and that what it has seen.
            let requests = seen.withLock { seen in
                defer { seen = [] }
                return seen
            }
            for request in requests {
                #expect(request.region == region.range)
                #expect(request.offset == Int(request.range.start - region.range.start))
                let stripe = region.stripe(atByteOffset: request.offset)
                #expect(stripe.range.contains(request.range))
                #expect(request.range.contains(request.demand) && request.demand.byteCount == page)
            }
            #expect(requests.contains { $0.pageCount > 1 }, "pages are filled ahead")
            #expect(Set(requests.map(\.range.start)).count == requests.count, "no page is asked for twice")
            #expect(await group.statistics.readAheadPages > 0)
        }
    }

    @Test func `stripes are served at the same time, on their own threads`() async throws {
        try await withGroup(reactors: 3) { group in
            // Each call blocks its reactor until all three are inside: they can be only on three threads.
            let meeting = Meeting(3)
            let reactors = group.reactors
            struct Meets: FaultHandler {
                let meeting: Meeting
                let reactors: ReactorGroup
                func resolveNow(_ request: FaultRequest) throws -> Resolution? {
                    guard let reactor = reactors.current else { return nil }
                    meeting.meet(reactor.name)
                    return try .copy(NumberedPages.buffer(for: request))
                }
                func resolve(_ request: FaultRequest) async throws -> Resolution { throw StoreIsDown() }
            }
            let region = try await group.map(
                byteCount: 3 * page, handler: Meets(meeting: meeting, reactors: reactors),
                layout: StripeLayout(stripeByteCount: page))
            let threads = (0..<3).map { number in FaultingThread { region.word(number) } }
            for (number, thread) in threads.enumerated() { #expect(await thread.value == UInt64(number)) }
            #expect(Set(meeting.names) == Set(reactors.reactors.map(\.name)))
        }
    }

    @Test func `a stripe is served while another reactor is held`() async throws {
        try await withGroup(reactors: 2) { group in
            let region = try await group.map(
                byteCount: 4 * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: page))
            let hold = await LoopHold.take(group.reactors.reactors[0])
            let slow = FaultingThread { region.word(2) }
            await slow.waitUntilParked()
            #expect(await FaultingThread { region.word(1) }.value == 2)
            #expect(await FaultingThread { region.word(3) }.value == 4)
            #expect(!slow.isFinished)
            hold.release()
            #expect(await slow.value == 3)
        }
    }

    @Test func `placement by a pattern puts stripes where it says`() async throws {
        try await withGroup(reactors: 3) { group in
            let region = try await group.map(
                byteCount: 8 * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: 2 * page, placement: .pattern([2, 0])))
            #expect(region.stripes.map(\.index) == [2, 0, 2, 0])
            #expect(await FaultingThread { (0..<8).allSatisfy { region.word($0) == UInt64($0) + 1 } }.value)
            #expect(await group.pagers[0].statistics.presentPages == 4)
            #expect(await group.pagers[1].statistics.presentPages == 0)
            #expect(await group.pagers[2].statistics.presentPages == 4)
            try await group.unmap(region)
        }
    }

    @Test func `values are read, written and lent across stripes`() async throws {
        try await withGroup(reactors: 2) { group in
            let region = try await group.map(
                byteCount: 6 * page, handler: ZeroFillHandler(),
                layout: StripeLayout(stripeByteCount: page))
            let page = self.page
            let isRight = await FaultingThread {
                region.store(UInt64.max, toByteOffset: page - 4)
                guard region.load(fromByteOffset: page - 4, as: UInt64.self) == .max else { return false }
                let bytes = (0..<3 * page).map { UInt8(truncatingIfNeeded: $0 &* 31) }
                region.writeBytes(bytes, at: page + 17)
                guard region.readBytes(page + 17..<4 * page + 17) == bytes else { return false }
                region.withMutableBytes(5 * page - 1..<5 * page + 1) { span in
                    span.storeBytes(of: UInt16(0x0102), toByteOffset: 0, as: UInt16.self)
                }
                return region.withBytes(5 * page - 1..<5 * page + 1) { span in
                    unsafe span.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self) == 0x0102
                }
            }.value
            #expect(isRight)
        }
    }

    @Test func `a prefetch fills all stripes, and a part of it only that`() async throws {
        try await withGroup(reactors: 3) { group in
            let pages = 700
            let region = try await group.map(
                byteCount: pages * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: 50 * page))
            let part = AddressRange(start: region.range.start + UInt(40 * page), byteCount: 100 * page)
            let first = try await region.prefetch(part)
            #expect(first.pageCount == 100 && first.requestedPages == 100 && first.fraction == 1)
            #expect(await group.statistics.presentPages == 100)
            let reports = Lock<[PrefetchProgress]>([])
            let all = try await region.prefetch { progress in reports.withLock { $0.append(progress) } }
            #expect(all.pageCount == pages)
            #expect(all.requestedPages == pages - 100 && all.skippedPages == 100)
            #expect(await group.statistics.presentPages == pages)
            #expect(reports.withLock { $0 }.allSatisfy { $0.pageCount == pages && $0.fraction <= 1 })
            #expect(
                await FaultingThread { (0..<pages).allSatisfy { region.word($0) == UInt64($0) + 1 } }.value)
            #expect(await group.statistics.messages == 0)
        }
    }

    @Test func `what will be needed is filled without waiting`() async throws {
        try await withGroup(reactors: 2) { group in
            let region = try await group.map(
                byteCount: 8 * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: 2 * page))
            region.advise(.sequential)
            region.willNeed(
                AddressRange(start: region.range.start + UInt(page), byteCount: 100 * page))
            while await group.statistics.presentPages < 7 { await Task.yield() }
            #expect(await group.statistics.presentPages == 7)
            #expect(await group.statistics.messages == 0)
        }
    }

    @Test func `a prefetch of what is not the region's is refused`() async throws {
        try await withGroup(reactors: 2) { group in
            let region = try await group.map(byteCount: 4 * page, handler: NumberedPages())
            for part in [
                AddressRange(start: region.range.start + 1, byteCount: page),
                AddressRange(start: region.range.start, byteCount: 5 * page),
                AddressRange(start: region.range.start, byteCount: 0),
            ] {
                let error = await #expect(throws: PagerError.self) { try await region.prefetch(part) }
                #expect(error?.code == .invalidRange)
            }
        }
    }

    @Test(.requiresUserfaultfd([.minorSharedMemory]))
    func `shared memory is mapped in stripes, and existing pages come without a copy`() async throws {
        try await withGroup(reactors: 2) { group in
            let memory = try SharedMemory(byteCount: 8 * page)
            for number in 0..<8 { memory.store(UInt64(number) + 100, toByteOffset: number * page) }
            let handler = ClosureHandler { _ in .mapExisting }
            let region = try await group.map(
                memory, handler: handler, options: RegionOptions(modes: .minor),
                layout: StripeLayout(stripeByteCount: 3 * page))
            #expect(await FaultingThread { (0..<8).allSatisfy { region.word($0) == UInt64($0) + 100 } }.value)
            let statistics = await group.statistics
            #expect(statistics.continues == 8 && statistics.copies == 0)
        }
    }

    @Test(.requiresUserfaultfd([.writeProtectFaults]))
    func `writes to protected pages of all stripes are asked about`() async throws {
        try await withGroup(reactors: 2) { group in
            let writes = Lock<Set<Int>>([])
            let handler = ClosureHandler { request in
                guard request.kind == .writeProtect else { return .zero }
                writes.withLock {
                    $0.formUnion(
                        request.offset / request.pageSize..<request.offset / request.pageSize
                            + request.pageCount)
                }
                return .unprotect
            }
            let region = try await group.map(
                byteCount: 6 * page, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]),
                layout: StripeLayout(stripeByteCount: page))
            try await region.prefetch()
            let part = AddressRange(start: region.range.start + UInt(page), byteCount: 4 * page)
            try await group.protect(region, part)
            let isRight = await FaultingThread {
                for number in 0..<6 { region.store(UInt64(number), toByteOffset: number * region.pageSize) }
                return (0..<6).allSatisfy { region.word($0) == UInt64($0) }
            }.value
            #expect(isRight)
            #expect(writes.withLock { $0 } == [1, 2, 3, 4])
        }
    }

    @Test(.requiresUserfaultfd([.removeEvents]))
    func `dropped pages read as zero in every stripe`() async throws {
        try await withGroup(reactors: 2, Pager.Configuration(events: .remove)) { group in
            let region = try await group.map(
                byteCount: 6 * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: page))
            #expect(await FaultingThread { (0..<6).allSatisfy { region.word($0) == UInt64($0) + 1 } }.value)
            let (start, length) = (region.range.start + UInt(page), 4 * page)
            #expect(await FaultingThread { MemoryProbe.discard(start, byteCount: length) }.value)
            let words = await FaultingThread { (0..<6).map { region.word($0) } }.value
            #expect(words == [1, 0, 0, 0, 0, 6])
        }
    }

    @Test func `two regions of one group, and regions of its pagers, do not disturb each other`() async throws
    {
        try await withGroup(reactors: 2) { group in
            let first = try await group.map(byteCount: 8 * page, handler: NumberedPages(first: 1))
            let second = try await group.map(byteCount: 8 * page, handler: NumberedPages(first: 100))
            let single = try await group.pagers[1].map(byteCount: 2 * page, handler: NumberedPages(first: 7))
            #expect(await FaultingThread { first.word(5) }.value == 6)
            try await group.unmap(first)
            #expect(await FaultingThread { second.word(5) }.value == 105)
            #expect(await FaultingThread { single.load(fromByteOffset: 0, as: UInt64.self) }.value == 7)
            #expect(!first.canBeRead(2))
        }
    }
}

/// Calls that wait for each other.
final class Meeting: Sendable {
    private let needed: Int
    private let arrived = Lock<[String]>([])

    init(_ needed: Int) { self.needed = needed }

    var names: [String] { arrived.withLock { $0 } }

    func meet(_ name: String) {
        arrived.withLock { $0.append(name) }
        while arrived.withLock({ $0.count }) < needed { sched_yield() }
    }
}
