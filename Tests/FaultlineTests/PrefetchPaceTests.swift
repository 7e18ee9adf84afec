import Faultline
import FaultlineTestKit
import Testing

struct PrefetchPaceTests {
    /// A store, with threads that fault or not, seen from a prefetch.
    struct Model {
        var pace = PrefetchPace(pageSize: 4096, faultCount: 7)
        var now: Int64 = 1_000_000_000
        var faults = 7
        /// What the store takes for a request, nanoseconds, and for each page that is under way.
        var latency: Int64
        var perPage: Int64

        /// Answers `count` requests while a thread faults every `interval` nanoseconds, or not at all.
        mutating func answer(_ count: Int, faultsEvery interval: Int64?) {
            for _ in 0..<count {
                let time = latency + perPage * Int64(pace.pages)
                let before = now
                now += time + Int64(pace.pages) * 1000
                if let interval { faults += Int(now / interval - before / interval) }
                pace.answered(after: time, now: now, faultCount: faults)
            }
        }
    }

    /// Pages in the page cache: some microseconds for a thread to wake, the rest is copying.
    static let near = Model(latency: 10_000, perPage: 600)
    /// A store elsewhere, with any number of requests at a time.
    static let far = Model(latency: 10_000_000, perPage: 0)

    @Test func `begins with all there can be, and stays there while nobody faults`() {
        var model = Self.near
        for _ in 0..<50 {
            #expect(model.pace.chunk == 256)
            #expect(model.pace.width == 4)
            model.answer(1, faultsEvery: nil)
        }
    }

    @Test func `halves with each answer while threads fault, down to one small request`() {
        var model = Self.near
        var steps: [[Int]] = []
        for _ in 0..<8 {
            model.answer(1, faultsEvery: 100)
            steps.append([model.pace.chunk, model.pace.width])
        }
        #expect(steps == [[256, 2], [256, 1], [128, 1], [64, 1], [64, 1], [64, 1], [64, 1], [64, 1]])
    }

    @Test func `is not tempted by the moments between two faults`() {
        var model = Self.near
        model.answer(20, faultsEvery: 100_000)
        for _ in 0..<5000 {
            model.answer(1, faultsEvery: 1_000_000)
            #expect(model.pace.pages <= 64)
        }
    }

    @Test func `doubles again once nobody faults`() {
        var model = Self.near
        model.answer(20, faultsEvery: 100)
        let calm = model.now + 2_000_000
        while model.now < calm {
            #expect(model.pace.pages <= 64)
            model.answer(1, faultsEvery: nil)
        }
        model.answer(6, faultsEvery: nil)
        #expect(model.pace.chunk == 256)
        #expect(model.pace.width == 4)
        model.answer(6, faultsEvery: 100)
        #expect(model.pace.pages == 64, "and yields again")
    }

    @Test func `keeps a store that is far away busy, also while threads fault`() {
        var model = Self.far
        var pages = 0
        for _ in 0..<100 {
            model.answer(1, faultsEvery: 1_000_000)
            pages += model.pace.pages
        }
        #expect(pages >= 95 * 1024, "but for a look at how long less takes, now and then")
        #expect(model.pace.width == 4)
    }

    @Test func `yields when a store becomes slow by what is asked of it`() {
        var model = Self.far
        model.answer(20, faultsEvery: 1_000_000)
        #expect(model.pace.width == 4)
        model.perPage = 100_000
        model.answer(40, faultsEvery: 1_000_000)
        #expect(model.pace.pages < 256)
    }

    @Test func `is not misled by answers that are late for other reasons`() {
        let seed = TestSeed()
        var random = TestRandom(seed)
        var model = Self.near
        model.answer(20, faultsEvery: 100_000)
        var pages = 0
        for _ in 0..<2000 {
            // A thread of the store waits for a processor.
            model.latency = random.chance(30) ? Int64(random.below(600_000)) : Self.near.latency
            model.answer(1, faultsEvery: 100_000)
            pages += model.pace.pages
        }
        #expect(pages / 2000 <= 128, "\(seed)")
    }

    @Test func `answers at once are halved as well`() {
        var model = Model(latency: 0, perPage: 0)
        model.answer(5, faultsEvery: 100)
        #expect(model.pace.pages == 64)
    }

    @Test func `a huge page is the smallest request there is`() {
        var pace = PrefetchPace(pageSize: 2 << 20, faultCount: 0)
        #expect(pace.chunk == 256)
        for count in 1...20 { pace.answered(after: 0, now: Int64(count) * 1_000_000, faultCount: count) }
        #expect(pace.chunk == 1)
        #expect(pace.width == 1)
    }
}
