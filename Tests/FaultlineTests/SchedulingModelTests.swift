import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

#if DEBUG
    // Its tickets are tied to the pager, and are not for other modules.
    @testable import struct Faultline.FaultCause
    @testable import class Faultline.PagerLink
    @testable import class Faultline.ReadBuffers
    @testable import class Faultline.RegionState
    @testable import class Faultline.RequestTicket
    @testable import struct Faultline.TicketList
#endif

/// The small machines around the scheduler against models that are too simple to be wrong.
@Suite(.timeLimit(.minutes(5)))
struct SchedulingModelTests {
    let seed = TestSeed()

    @Test func `WakeSet covers every range it was given, and no page in flight between them`() throws {
        var random = TestRandom(seed)
        for round in 0..<400 {
            let pageCount = 120
            let inFlight = Set((0..<pageCount).filter { _ in random.chance(15) })
            var wakes = WakeSet()
            var added: Set<Int> = []
            // As in a turn: what is late comes first, then the commit, each in ascending order.
            for _ in 0..<1 + random.below(2) {
                var page = random.below(20)
                while page < pageCount {
                    let end = min(page + 1 + random.below(4), pageCount)
                    let range = AddressRange(start: UInt(page), byteCount: end - page)
                    if let gap = wakes.gap(to: range),
                        (Int(gap.start)..<Int(gap.end)).contains(where: inFlight.contains)
                    {
                        wakes.add(range)
                    } else {
                        wakes.extend(to: range)
                    }
                    added.formUnion(page..<end)
                    page = end + random.below(6)
                }
            }
            var woken: Set<Int> = []
            for range in (0..<wakes.count).map({ wakes[$0] }) {
                try #require(range.byteCount > 0, "round \(round), \(seed)")
                woken.formUnion(Int(range.start)..<Int(range.end))
            }
            try #require(woken.isSuperset(of: added), "round \(round), \(seed)")
            try #require(woken.subtracting(added).isDisjoint(with: inFlight), "round \(round), \(seed)")
            wakes.removeAll()
            try #require(wakes.isEmpty)
        }
    }

    @Test func `WakeSet gives one wake for ascending ranges with nothing in flight between`() {
        var random = TestRandom(seed)
        var wakes = WakeSet()
        var start: UInt = 4096
        for _ in 0..<500 {
            let range = AddressRange(start: start, byteCount: 1 + random.below(5))
            wakes.extend(to: range)
            start = range.end + UInt(random.below(5))
        }
        #expect(wakes.count == 1, "\(seed)")
        #expect(wakes[0].start == 4096)
        let below = AddressRange(start: 0, byteCount: 96)
        #expect(wakes.gap(to: below) == AddressRange(start: 96, byteCount: 4000))
    }

    @Test func `Backoff doubles up to its limit and starts again when told`() throws {
        var random = TestRandom(seed)
        for round in 0..<300 {
            let first = 1 + random.below(1000)
            let limit = first + random.below(100_000)
            var backoff = Backoff(first: .microseconds(first), limit: .microseconds(limit))
            var expected = first
            for _ in 0..<random.below(40) {
                if random.chance(10) {
                    backoff.reset()
                    expected = first
                }
                let delay = backoff.next()
                try #require(delay == .microseconds(expected), "round \(round), \(seed)")
                expected = min(expected * 2, limit)
            }
        }
    }

    @Test func `SortPace gives up where nothing is found, looks now and then, and begins again`() {
        var pace = SortPace()
        func reads(_ count: Int, isRandom: Bool) -> Int {
            (0..<count).count { _ in
                let isSorted = pace.sortsNext()
                // Neighbours are found where they are sorted only.
                pace.admitted(isRandom: isRandom || !isSorted)
                return isSorted
            }
        }
        #expect(reads(SortPace.patience, isRandom: true) == SortPace.patience)
        #expect(reads(80, isRandom: true) == 10)
        #expect(reads(SortPace.mostSkipped + 1, isRandom: false) == 1)
        #expect(reads(100, isRandom: false) == 100)
        #expect(reads(SortPace.patience, isRandom: true) == SortPace.patience, "its patience is new")
    }

    @Test func `sortInPlace sorts as sorted() does`() throws {
        var random = TestRandom(seed)
        for round in 0..<600 {
            let count = random.chance(80) ? random.below(40) : random.below(600)
            let values = 1 + random.below(random.chance(30) ? 5 : 1000)
            var array = (0..<count).map { _ in random.below(values) }
            if random.chance(20) { array.sort() }
            if random.chance(10) { array.sort(by: >) }
            let expected = array.sorted()
            array.sortInPlace { $0 < $1 }
            try #require(array == expected, "round \(round), \(seed)")
        }
    }

    #if DEBUG
        @Test func `faults are put in the order of their pages, those of one page as they came`() throws {
            var random = TestRandom(seed)
            let buffers = ReadBuffers(capacity: 16)
            for round in 0..<300 {
                let count = random.chance(95) ? random.below(200) : 4090 + random.below(20)
                let pages = 1 + random.below(random.chance(30) ? 5 : 1000)
                var faults = (0..<count).map { _ in
                    Fault(
                        address: UInt.max - UInt(random.below(pages) * SystemPage.size + random.below(8)),
                        flags: [])
                }
                if random.chance(20) { faults.sort { $0.address < $1.address } }
                for number in faults.indices { faults[number].threadID = UInt32(number) }
                buffers.removeAll()
                buffers.append(contentsOf: faults)
                buffers.sort()
                let place = { (fault: Fault) in fault.address / UInt(SystemPage.size) }
                let arrivals = (0..<buffers.count).map { buffers[$0] }
                try #require(Set(arrivals) == Set(faults), "round \(round), \(seed)")
                try #require(arrivals.count == count)
                for (left, right) in zip(arrivals, arrivals.dropFirst()) {
                    try #require(place(left) <= place(right), "round \(round), \(seed)")
                    guard count <= 4096, place(left) == place(right) else { continue }
                    try #require(left.threadID ?? 0 < right.threadID ?? 0, "round \(round), \(seed)")
                }
            }
        }

        @Test func `TicketList holds what was added and not removed, each once`() throws {
            var random = TestRandom(seed)
            let link = PagerLink(reactor: try Reactor.hosted())
            let region = RegionState(
                mapping: try Mapping.anonymous(byteCount: SystemPage.size), ownsMemory: true,
                pageSize: SystemPage.size, handler: ZeroFillHandler(), options: RegionOptions())
            let cause = FaultCause(kind: .missing, isWrite: false, demand: 0..<1)
            var list = TicketList()
            var all: [RequestTicket] = []
            var open: Set<ObjectIdentifier> = []
            for step in 0..<3000 {
                if random.chance(55) || all.isEmpty {
                    let ticket = RequestTicket(
                        link: link, region: region, pages: 0..<1, cause: cause, failures: step)
                    list.add(ticket)
                    all.append(ticket)
                    open.insert(ObjectIdentifier(ticket))
                } else {
                    let ticket = all[random.below(all.count)]
                    let wasOpen = open.remove(ObjectIdentifier(ticket)) != nil
                    let removed = list.remove(ticket)
                    try #require(removed == wasOpen, "step \(step), \(seed)")
                    try #require(ticket.position == nil, "step \(step), \(seed)")
                }
                try #require(list.tickets.count == open.count, "step \(step), \(seed)")
            }
            #expect(Set(list.tickets.map(ObjectIdentifier.init)) == open, "\(seed)")
            for (position, ticket) in list.tickets.enumerated() {
                #expect(ticket.position == position, "\(seed)")
            }
        }
    #endif
}
