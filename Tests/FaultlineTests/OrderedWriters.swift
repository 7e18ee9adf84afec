import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Threads that write in an order that an image must not contradict.
///
/// Each has a pair of pages and counts up: first in the one, then in the other. In every image the second page is as new
/// as the first or one step behind. A second kind hands its count on to a partner, who writes it to a page of its own: that page
/// must not be newer than the first thread's.
final class OrderedWriters: Sendable {
    private let region: Region
    private let first: [Int]
    private let second: [Int]
    private let partner: [Int]
    private let counts: [Counter]
    private let sign = StopSign()
    private let threads = Lock<[FaultingThread<UInt64>]>([])

    init(_ region: Region, pairs: Int, seed: TestSeed) {
        self.region = region
        var random = TestRandom(seed)
        var pages = Array(0..<region.pageCount)
        pages.shuffle(using: &random)
        first = Array(pages[0..<pairs])
        second = Array(pages[pairs..<2 * pairs])
        partner = Array(pages[2 * pairs..<3 * pairs])
        counts = (0..<pairs).map { _ in Counter() }
    }

    func start(seed: TestSeed) async {
        // Whatever the pages held is no count: nobody may be late with his first write.
        await FaultingThread { [self] in
            for page in first + second + partner { store(0, page) }
        }.value
        var started: [FaultingThread<UInt64>] = []
        for number in first.indices {
            started.append(FaultingThread { [self] in count(number, seed) })
            started.append(FaultingThread { [self] in follow(number) })
        }
        threads.withLock { $0 = started }
    }

    /// Has the threads end, also where a test ends before its time.
    func stop() { sign.putUp() }

    private func store(_ value: UInt64, _ page: Int) {
        // At both ends of the page, so that a torn one is noticed.
        region.store(value, toByteOffset: page * region.pageSize)
        region.store(value, toByteOffset: (page + 1) * region.pageSize - 8)
    }

    private func count(_ number: Int, _ seed: TestSeed) -> UInt64 {
        var random = TestRandom(seed, stream: UInt64(number + 1))
        let used = Set(first + second + partner)
        var value: UInt64 = 0
        while !sign.isUp {
            value += 1
            store(value, first[number])
            counts[number].value = value
            // Pages that nobody looks at, to have more of them written.
            let other = random.below(region.pageCount)
            if !used.contains(other) {
                region.store(value, toByteOffset: other * region.pageSize + 8 * number)
            }
            store(value, second[number])
            // The tests that run beside this one need the processor too.
            _ = usleep(30)
        }
        return value
    }

    private func follow(_ number: Int) -> UInt64 {
        var value: UInt64 = 0
        while !sign.isUp {
            let next = counts[number].value
            if next == value {
                _ = usleep(20)
                continue
            }
            value = next
            store(value, partner[number])
        }
        return value
    }

    func check(_ image: SnapshotImage, _ comment: String) {
        func load(_ page: Int) -> (UInt64, UInt64) {
            (image.load(page * region.pageSize), image.load((page + 1) * region.pageSize - 8))
        }
        for number in first.indices {
            let (a, b, c) = (load(first[number]), load(second[number]), load(partner[number]))
            #expect(a.0 == a.1 || a.0 == a.1 + 1, "first page is torn: \(a), \(comment)")
            #expect(b.0 == b.1 || b.0 == b.1 + 1, "second page is torn: \(b), \(comment)")
            #expect(b.0 <= a.1 && a.0 <= b.1 + 1, "the second write without the first: \(a) \(b), \(comment)")
            #expect(c.0 >= c.1 && c.0 <= a.1, "the follower is ahead: \(a) \(c), \(comment)")
        }
    }

    /// Every write has arrived in the region.
    func finish(_ comment: String) async {
        stop()
        let threads = threads.withLock { $0 }
        var values: [UInt64] = []
        for thread in threads { values.append(await thread.value) }
        let last = await FaultingThread { [self] in
            (first + second + partner).map {
                region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self)
            }
        }.value
        for number in first.indices {
            #expect(last[number] == values[2 * number], "\(comment)")
            #expect(last[first.count + number] == values[2 * number], "\(comment)")
            #expect(last[2 * first.count + number] == values[2 * number + 1], "\(comment)")
        }
    }
}
