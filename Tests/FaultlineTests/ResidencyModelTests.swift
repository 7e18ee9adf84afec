import Faultline
import FaultlineTestKit
import Testing

/// The states of pages over a store, against memory and a store that are plain arrays.
@Suite(.timeLimit(.minutes(5)))
struct ResidencyModelTests {
    let seed = TestSeed()

    /// A machine: threads that read and write, a pager that evicts and writes back, a store that fails now and then.
    final class Machine {
        struct Write {
            var number: Int
            var pages: Range<Int>
            /// What has left memory so far, page by page, in any order.
            var taken: [Int: Int] = [:]
        }
        final class Flush {
            var progress: FlushProgress
            /// What each page held when the flush began.
            let truth: [Int]

            init(_ machine: Machine) {
                progress = FlushProgress(machine.residency, lastWrite: machine.lastWrite)
                truth = machine.truth
            }
        }

        var residency: Residency
        var clock = EvictionClock()
        var random: TestRandom
        let count: Int
        /// What was last written to each page.
        var truth: [Int]
        var store: [Int]
        var memory: [Int?]
        var isProtected: [Bool]
        var writes: [Write] = []
        var lastWrite = 0
        var lastValue = 0
        var pinned: Set<Int> = []

        init(pages: Int, _ random: TestRandom) {
            residency = Residency(pageCount: pages)
            self.random = random
            count = pages
            truth = Array(repeating: 0, count: pages)
            store = truth
            memory = Array(repeating: nil, count: pages)
            isProtected = Array(repeating: false, count: pages)
        }

        /// A thread touches a page; the pager does what a fault needs.
        func touch(_ page: Int, writes isWrite: Bool) throws {
            if memory[page] == nil {
                memory[page] = store[page]
                isProtected[page] = !isWrite
                residency.install(page..<page + 1, isDirty: isWrite, isAhead: random.chance(10))
            }
            if isWrite {
                if isProtected[page] {
                    residency.write(page..<page + 1)
                    isProtected[page] = false
                }
                lastValue += 1
                memory[page] = lastValue
                truth[page] = lastValue
            }
            let isRight = memory[page] == truth[page]
            if !isRight { try #require(isRight, "page \(page) shows something else than was written") }
        }

        func beginWrite(_ pages: Range<Int>) {
            for page in pages { isProtected[page] = true }
            residency.beginWriting(pages)
            lastWrite += 1
            writes.append(Write(number: lastWrite, pages: pages))
        }

        /// A page of a write leaves memory: with whatever it holds now.
        func advanceWrite(_ index: Int) {
            let page = writes[index].pages.lowerBound + random.below(writes[index].pages.count)
            if writes[index].taken[page] == nil { writes[index].taken[page] = memory[page] }
        }

        func endWrite(_ index: Int, succeeds: Bool, _ flush: Flush?) {
            var write = writes.remove(at: index)
            for page in write.pages where succeeds || random.chance(50) {
                store[page] = write.taken[page] ?? memory[page] ?? -1
                write.taken[page] = nil
            }
            residency.endWriting(write.pages, succeeded: succeeds)
            flush?.progress.ended(write.number, write.pages, succeeded: succeeds)
        }

        func pinnedWord(_ group: Int) -> UInt64 {
            var word: UInt64 = 0
            for page in pinned where page >> 6 == group { word |= 1 << UInt64(page & 63) }
            return word
        }

        func choose(_ wanted: Int, sparesDirty: Bool = false) -> Victims {
            var victims = Victims()
            let pinned = (0...count >> 6).map(pinnedWord)
            // One region of the real clock is enough here: the regions of a budget are tested by themselves.
            var clock = self.clock
            clock.choose(wanted, of: 1) { _, page, wanted in
                let before = victims.count
                let next = residency.sweep(
                    from: page, wanted: before + wanted, sparesDirty: sparesDirty, pinned: { pinned[$0] },
                    into: &victims)
                return (victims.count - before, next)
            }
            self.clock = clock
            return victims
        }

        func drop(_ pages: Range<Int>) {
            for page in pages {
                memory[page] = nil
                isProtected[page] = false
            }
        }

        func check() throws {
            try #require(residency.residentCount == memory.count { $0 != nil })
            try #require(residency.writingCount == writes.reduce(0) { $0 + $1.pages.count })
            try #require(residency.dirtyCount == (0..<count).count { residency.isDirty($0) })
            let wrong = (0..<count).first { page in
                guard residency.isResident(page) == (memory[page] != nil) else { return true }
                guard memory[page] != nil, !residency.isDirty(page) else { return false }
                // Nobody can write to it without being noticed, and the store has it, or will.
                return !isProtected[page] || (!residency.isWriting(page) && store[page] != truth[page])
            }
            try #require(wrong == nil, "page \(wrong ?? 0) is not what it is said to be")
        }
    }

    @Test(arguments: 0..<40) func `no write is ever lost`(round: Int) throws {
        var random = TestRandom(seed, stream: UInt64(round))
        let pages = 1 + random.below(200)
        let limit = max(1, pages / (1 + random.below(5)))
        let machine = Machine(pages: pages, random)
        var flush: Machine.Flush?
        var chosen: [Range<Int>] = []
        for step in 0..<3000 {
            switch random.below(12) {
            case 0..<5:
                try machine.touch(random.below(pages), writes: random.chance(40))
            case 5, 6:
                while machine.residency.residentCount > limit {
                    let victims = machine.choose(1 + random.below(limit), sparesDirty: random.chance(20))
                    if victims.count == 0 { break }
                    for run in victims.clean { machine.drop(run) }
                    for run in victims.dirty {
                        chosen.append(run)
                        // The write for the run before this one may have taken some of it along.
                        guard let first = machine.residency.writable(run).first else { continue }
                        let around = machine.residency.writableRun(around: first.lowerBound, reach: 8)
                        try #require(around.contains(first.lowerBound))
                        machine.beginWrite(around)
                        for rest in machine.residency.writable(run) { machine.beginWrite(rest) }
                    }
                }
            case 7, 8:
                guard !machine.writes.isEmpty else { continue }
                machine.advanceWrite(random.below(machine.writes.count))
            case 9, 10:
                guard !machine.writes.isEmpty else { continue }
                machine.endWrite(
                    random.below(machine.writes.count), succeeds: random.chance(85), flush)
                guard let run = chosen.popLast() else { continue }
                for rest in machine.residency.takeClean(run, pinned: machine.pinnedWord) {
                    machine.drop(rest)
                }
            default:
                let current = flush ?? Machine.Flush(machine)
                flush = current
                if let next = current.progress.next(machine.residency, limit: 1 + random.below(20)) {
                    machine.beginWrite(next)
                }
                guard current.progress.isComplete else { continue }
                let failed = current.progress.failed
                let values = current.truth
                flush = nil
                for page in 0..<pages where !failed.contains(where: { $0.contains(page) }) {
                    try #require(
                        machine.store[page] >= values[page], "page \(page), step \(step); \(seed) \(round)")
                }
            }
            if step % 20 == 0 { try machine.check() }
        }
    }

    @Test(arguments: 0..<10) func `a flush ends, and all is in the store`(round: Int) throws {
        var random = TestRandom(seed, stream: UInt64(100 + round))
        let pages = 1 + random.below(300)
        let machine = Machine(pages: pages, random)
        for _ in 0..<2 * pages { try machine.touch(random.below(pages), writes: random.chance(50)) }
        let flush = Machine.Flush(machine)
        while !flush.progress.isComplete {
            if let next = flush.progress.next(machine.residency, limit: 16) {
                try #require(next.count <= 16)
                machine.beginWrite(next)
            }
            // Writers go on meanwhile, and do not hold it up.
            try machine.touch(random.below(pages), writes: true)
            if random.chance(50), !machine.writes.isEmpty { machine.endWrite(0, succeeds: true, flush) }
        }
        #expect(flush.progress.failed == [])
        let values = flush.truth
        for page in 0..<pages { #expect(machine.store[page] >= values[page], "\(seed)") }
    }

    @Test func `a store that could not be flushed is written to again`() {
        var residency = Residency(pageCount: 200)
        residency.install(0..<150, isDirty: true, isAhead: false)
        residency.beginWriting(0..<150)
        residency.endWriting(0..<150, succeeded: true)
        #expect(residency.dirtyCount == 0)
        #expect(residency.takeClean(100..<150, pinned: { _ in 0 }) == [100..<150])
        let first = residency.takeUnflushed()
        #expect(first.count == 150, "also those that are not at hand any more")
        residency.write(7..<8)
        residency.beginWriting(7..<8)
        residency.endWriting(7..<8, succeeded: true)
        residency.flushFailed(first)
        #expect(residency.dirtyCount == 100, "those that are at hand")
        let second = residency.takeUnflushed()
        #expect(second.runs == [7..<8], "written after the first flush had begun")
    }

    @Test func `a page of use since the hand came by is spared`() {
        var random = TestRandom(seed)
        let machine = Machine(pages: 130, random)
        machine.residency.install(0..<130, isDirty: false, isAhead: false)
        for page in 0..<130 { machine.memory[page] = 0 }
        // All are referenced: the first round clears that, the second one takes from where the hand stands.
        #expect(machine.choose(10).clean == [0..<10])
        machine.drop(0..<10)
        machine.residency.write(10..<15)
        #expect(machine.choose(5).clean == [15..<20])
        machine.drop(15..<20)
        // Back at once: of more use than others, it is spared twice.
        machine.residency.install(0..<1, isDirty: false, isAhead: false)
        #expect(machine.residency.refaults == 1)
        var chosen: Set<Int> = []
        while !chosen.contains(0), machine.residency.residentCount > 5 {
            let victims = machine.choose(1 + random.below(9), sparesDirty: true)
            for run in victims.clean {
                chosen.formUnion(run)
                machine.drop(run)
            }
        }
        #expect(chosen.count == 111, "page 0 went after all the others that were clean; \(seed)")
    }

    @Test func `pages that cannot go are passed over, and the hand comes to rest`() {
        let machine = Machine(pages: 100, TestRandom(seed))
        machine.residency.install(0..<100, isDirty: true, isAhead: true)
        #expect(machine.choose(5, sparesDirty: true).count == 0)
        machine.residency.beginWriting(0..<50)
        machine.pinned = Set(50..<90)
        machine.residency.keep(90..<95)
        let victims = machine.choose(1000)
        #expect(victims.dirty == [95..<100])
        #expect(victims.clean == [])
        #expect(machine.residency.takeClean(0..<100, pinned: machine.pinnedWord) == [])
        machine.residency.endWriting(0..<50, succeeded: true)
        #expect(machine.choose(40, sparesDirty: true).clean == [0..<40])
        machine.residency.keep(10..<20)
        #expect(machine.residency.residentCount == 70)
        #expect(machine.residency.takeClean(0..<100, pinned: machine.pinnedWord) == [40..<50])
    }

    @Test func `the hand goes round all regions of a budget`() {
        var clock = EvictionClock()
        // Regions of 10 pages, of which nothing is ever spared.
        var taken: [[Int]] = []
        func choose(_ wanted: Int, _ regions: Int) {
            clock.choose(wanted, of: regions) { region, page, wanted in
                let end = min(page + wanted, 10)
                taken.append([region, page, end])
                return (end - page, end == 10 ? nil : end)
            }
        }
        choose(25, 3)
        #expect(taken == [[0, 0, 10], [1, 0, 10], [2, 0, 5]])
        taken = []
        clock.removeRegion(0)
        choose(10, 2)
        #expect(taken == [[1, 5, 10], [0, 0, 5]])
        taken = []
        clock.removeRegion(0)
        choose(3, 1)
        #expect(taken == [[0, 0, 3]])
        clock.choose(1, of: 1) { _, _, _ in (0, nil) }
        clock.choose(1, of: 0) { _, _, _ in (1, nil) }
    }

    @Test func `a large region with little in it is gone through at once`() {
        var residency = Residency(pageCount: 1 << 28)
        for page in stride(from: 12_345, to: 1 << 28, by: 1 << 24) {
            residency.install(page..<page + 2, isDirty: false, isAhead: false)
        }
        var clock = EvictionClock()
        var looks = 0
        for _ in 0..<1000 {
            var victims = Victims()
            clock.choose(1, of: 1) { _, page, wanted in
                let next = residency.sweep(
                    from: page, wanted: wanted, sparesDirty: false,
                    pinned: { _ in
                        looks += 1
                        return 0
                    }, into: &victims)
                return (victims.count, next)
            }
            #expect(victims.count == 1)
            for run in victims.clean {
                residency.install(run, isDirty: false, isAhead: false)
            }
        }
        #expect(looks < 20_000, "what is looked at grows with what is there, not with the region")
    }
}
