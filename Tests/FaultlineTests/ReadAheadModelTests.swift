import Faultline
import FaultlineTestKit
import Testing

/// Read-ahead against readers whose course is known.
@Suite(.timeLimit(.minutes(5)))
struct ReadAheadModelTests {
    let seed = TestSeed()

    /// Threads that fault, a table, and what is filled on whose behalf: one page, or what read-ahead adds.
    struct Model: ~Copyable {
        var table: FaultTable
        var readAhead: ReadAhead
        var faults = 0
        var requests = 0
        var extra = 0

        init(pages: Int, maximum: Int = 512) {
            table = FaultTable(pageCount: pages)
            readAhead = ReadAhead(maximum: maximum)
        }

        /// Each thread touches its pages in order; all that wait at the same time are one batch.
        mutating func run(_ threads: [[Int]], room: Int = .max) throws {
            var positions = threads.map { _ in 0 }
            while true {
                var waiting: [Int] = []
                for (index, pages) in threads.enumerated() {
                    while positions[index] < pages.count, table.isPresent(pages[positions[index]]) {
                        positions[index] += 1
                    }
                    if positions[index] < pages.count { waiting.append(pages[positions[index]]) }
                }
                guard !waiting.isEmpty else { return }
                faults += waiting.count
                var next = waiting.sorted()[...]
                while let first = next.popFirst() {
                    guard table.isMissing(first) else { continue }
                    var end = first + 1
                    while let page = next.first, page <= end {
                        if page == end, table.isMissing(page) { end += 1 } else if page == end { break }
                        next.removeFirst()
                    }
                    try serve(first..<end, room: room)
                }
            }
        }

        mutating func serve(_ pages: Range<Int>, room: Int) throws {
            requests += 1
            let plan = readAhead.plan(pages, in: table, room: room)
            try #require(
                plan.window.lowerBound <= pages.lowerBound && plan.window.upperBound >= pages.upperBound)
            try #require(plan.window.lowerBound >= 0 && plan.window.upperBound <= table.pageCount)
            for page in plan.window { try #require(table.isMissing(page) == true, "page \(page) of \(plan)") }
            table.installMissing(plan.window)
            extra += plan.window.count - pages.count
            for page in plan.strides.map(Array.init) ?? [] {
                try #require(table.isMissing(page) == true)
                table.installMissing(page..<page + 1)
                extra += 1
            }
            try #require(extra <= readAhead.filled)
            try #require(readAhead.ceiling <= readAhead.maximum)
        }
    }

    @Test func `one reader upwards is met less and less often`() throws {
        var model = Model(pages: 20_000)
        try model.run([Array(0..<20_000)])
        // 4, 8, 16, … 512, and from then on 512 at a time.
        #expect(model.faults <= 20_000 / 512 + 10)
        #expect(model.readAhead.waste == 0)
    }

    @Test func `one reader downwards as well`() throws {
        var model = Model(pages: 20_000)
        try model.run([(0..<20_000).reversed()])
        #expect(model.faults <= 20_000 / 512 + 12)
    }

    @Test(arguments: [5, 16, 100, -7]) func `strides are followed`(step: Int) throws {
        var model = Model(pages: 40_000)
        let from = step > 0 ? 5 : 39_990
        try model.run([Array(stride(from: from, to: step > 0 ? 40_000 : -1, by: step).prefix(1000))])
        #expect(model.faults <= 120, "\(model.faults) faults for 1000 pages")
        #expect(model.extra <= 1130, "only the pages of the stride")
    }

    @Test(arguments: [4, 16]) func `several readers of places of their own`(threads: Int) throws {
        var model = Model(pages: 32_768)
        let block = 32_768 / threads
        try model.run((0..<threads).map { Array($0 * block..<($0 + 1) * block) })
        #expect(model.faults <= threads * (block / 512 + 12))
        #expect(model.readAhead.waste == 0)
    }

    @Test(arguments: [4, 16, 64]) func `several readers of one place, a page each in turn`(threads: Int)
        throws
    {
        var model = Model(pages: 32_768)
        try model.run((0..<threads).map { Array(stride(from: $0, to: 32_768, by: threads)) })
        // All of them are met at the end of each window.
        #expect(model.requests <= 32_768 / 512 + 40, "\(model.requests) requests")
    }

    @Test func `readers at random places are left in peace`() throws {
        var random = TestRandom(seed)
        var model = Model(pages: 1 << 20)
        var pages: Set<Int> = []
        while pages.count < 20_000 { pages.insert(random.below(1 << 20)) }
        try model.run([pages.shuffled(using: &random)])
        #expect(model.extra < 20_000 * 3 / 100, "\(model.extra) pages that nobody asked for, \(seed)")
    }

    @Test(arguments: [1, 16]) func `readers in order are noticed after a long time without any`(threads: Int)
        throws
    {
        var model = Model(pages: 40_000)
        var random = TestRandom(seed)
        var shuffled = Array(stride(from: 20_000, to: 40_000, by: 7))
        shuffled.shuffle(using: &random)
        try model.run([shuffled])
        let before = model.faults
        let count = 20_000 / threads
        try model.run((0..<threads).map { Array($0 * count..<($0 + 1) * count) })
        #expect(model.faults - before < 20_000 / 8, "\(seed)")
    }

    @Test func `what is wasted lowers the ceiling, and hits raise it again`() throws {
        var random = TestRandom(seed)
        var model = Model(pages: 1 << 20)
        // Runs that end as soon as they look like one.
        for _ in 0..<600 {
            let start = random.below(1 << 20 - 8)
            try model.run([Array(start..<start + 4)])
        }
        #expect(model.readAhead.ceiling < 64, "\(model.readAhead.ceiling), \(seed)")
        let start = 1 << 19
        try model.run([Array(start..<start + 60_000)])
        #expect(model.readAhead.ceiling == 512, "\(seed)")
    }

    @Test func `advice`() throws {
        var model = Model(pages: 10_000)
        model.readAhead.advice = .random
        try model.run([Array(0..<1000)])
        #expect(model.extra == 0)
        model.readAhead.advice = .sequential
        try model.run([Array(5000..<5512)])
        #expect(model.faults <= 1000 + 3)
    }

    @Test func `room is kept to, whatever the pattern`() throws {
        var random = TestRandom(seed)
        var model = Model(pages: 5000, maximum: 64)
        for _ in 0..<2000 {
            let start = random.below(4990)
            let room = random.below(70)
            let before = model.extra
            guard model.table.isMissing(start) else { continue }
            try model.serve(start..<start + 1, room: room)
            #expect(model.extra - before <= room, "\(seed)")
            if random.chance(20) { model.table.forgetPresent(random.range(within: 5000)) }
        }
    }
}
