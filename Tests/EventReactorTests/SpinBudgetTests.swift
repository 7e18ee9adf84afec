import EventReactor
import Glibc
import Testing

@Suite("Spin budget", .timeLimit(.minutes(5)))
struct SpinBudgetTests {
    private static let limit: Int64 = 50_000

    /// A loop that does what its budget says. Time passes as the gaps say.
    private struct Loop {
        var budget: SpinBudget
        /// How much longer a wait takes that blocked.
        var wakeUpTime: Int64
        var found = 0
        var inVain = 0
        var blocked = 0
        var nanosecondsInVain: Int64 = 0
        var elapsed: Int64 = 0

        init(limit: Int64 = SpinBudgetTests.limit, wakeUpTime: Int64 = 0) {
            budget = SpinBudget(limit: limit)
            self.wakeUpTime = wakeUpTime
        }

        var spins: Int { found + inVain }
        /// What ``SpinBudget`` promises for all gaps there can be.
        var keepsPromise: Bool { inVain <= found + 7 + blocked / 6 }

        /// One wait, in which work comes after `gap`.
        mutating func wait(_ gap: Int64) {
            let allowance = budget.allowance
            guard allowance < gap || allowance == 0 else {
                found += 1
                elapsed += gap
                return budget.found(after: gap)
            }
            elapsed += gap + wakeUpTime
            if allowance > 0 {
                inVain += 1
                nanosecondsInVain += allowance
                budget.spunInVain(gap: gap + wakeUpTime)
            } else {
                blocked += 1
                budget.blocked(gap: gap + wakeUpTime)
            }
        }

        mutating func forgetCounts() {
            (found, inVain, blocked, nanosecondsInVain, elapsed) = (0, 0, 0, 0, 0)
        }
    }

    @Test("Steady arrivals within the limit are all found", arguments: [0, 5_000, 25_000, 100_000])
    func steadyFast(wakeUpTime: Int64) {
        for gap in stride(from: 0, through: Self.limit, by: 500) {
            var loop = Loop(wakeUpTime: wakeUpTime)
            for _ in 0..<1000 { loop.wait(gap) }
            #expect(loop.found == 1000, "gap \(gap)")
        }
    }

    @Test("Steady arrivals beyond the limit waste two hundredths of the time at most, and soon none")
    func steadySlow() {
        for wakeUpTime: Int64 in [0, 5_000, 25_000, 100_000] {
            for factor in [1.001, 1.01, 1.1, 1.5, 1.9, 2, 2.5, 3, 4, 10, 100, 10_000] {
                let gap = Int64(factor * Double(Self.limit))
                var loop = Loop(wakeUpTime: wakeUpTime)
                for _ in 0..<300 { loop.wait(gap) }
                #expect(loop.found == 0)
                #expect(loop.inVain <= 12, "gap \(gap)")
                if gap + wakeUpTime >= 3 * Self.limit { #expect(loop.inVain <= 3, "gap \(gap)") }
                loop.forgetCounts()
                for _ in 0..<6400 { loop.wait(gap) }
                #expect(loop.inVain <= 101, "gap \(gap)")
                #expect(loop.nanosecondsInVain * 50 <= loop.elapsed, "gap \(gap)")
                if gap + wakeUpTime > 2 * Self.limit + 3 { #expect(loop.inVain == 0, "gap \(gap)") }
            }
        }
    }

    @Test("When arrivals quicken, a few waits later all are found", arguments: [1.1, 1.9, 3, 1000])
    func quickening(slow: Double) {
        var loop = Loop(wakeUpTime: Self.limit / 2)
        for _ in 0..<1000 { loop.wait(Int64(slow * Double(Self.limit))) }
        // The worst moment: the penalty has just begun.
        while loop.budget.waitsToSkip < 63, slow < 1.5 { loop.wait(Int64(slow * Double(Self.limit))) }
        loop.forgetCounts()
        for _ in 0..<100 { loop.wait(Self.limit / 4) }
        #expect(loop.blocked <= 8)
        #expect(loop.inVain == 0)
        #expect(loop.found >= 92)
    }

    @Test("Bursts are found, and the silences between them waste next to nothing")
    func bursts() {
        var loop = Loop(wakeUpTime: 20_000)
        for _ in 0..<200 {
            for _ in 0..<50 { loop.wait(5_000) }
            loop.wait(10_000_000)
        }
        #expect(loop.found >= 200 * 48)
        #expect(loop.nanosecondsInVain * 100 <= loop.elapsed)
    }

    @Test("Independent arrivals are nearly all found if they come often, and waste little if they do not")
    func independent() {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = Generator(state: seed)
        for mean in [500, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 1_000_000, 10_000_000] {
            var loop = Loop(wakeUpTime: 10_000)
            for _ in 0..<20_000 {
                let uniform = Double.random(in: .leastNonzeroMagnitude..<1, using: &generator)
                loop.wait(Int64(-log(uniform) * Double(mean)))
            }
            #expect(loop.keepsPromise, "seed \(seed), mean \(mean)")
            if mean <= 10_000 { #expect(loop.found >= 17_000, "seed \(seed), mean \(mean)") }
            if mean >= 1_000_000 {
                #expect(loop.nanosecondsInVain * 100 <= loop.elapsed, "seed \(seed), mean \(mean)")
            }
        }
    }

    @Test("No pattern of gaps makes it waste more than it promises")
    func patterns() {
        let gaps: [Int64] = [0, 15, 45, 55, 75, 150, 1000].map { $0 * 1000 }
        // All periods of up to five gaps, each repeated a while.
        for length in 1...5 {
            var number = 0
            var period = [Int64](repeating: 0, count: length)
            while number < Int(pow(Double(gaps.count), Double(length))) {
                var digits = number
                for index in period.indices {
                    period[index] = gaps[digits % gaps.count]
                    digits /= gaps.count
                }
                var loop = Loop()
                for step in 0..<100 {
                    loop.wait(period[step % length])
                    guard loop.keepsPromise else {
                        Issue.record("period \(period), step \(step)")
                        return
                    }
                }
                number += 1
            }
        }
    }

    @Test("From every state it can come to, it gives up soon when idle, and begins soon when busy")
    func everyState() {
        let limit: Int64 = 8
        let gaps: [Int64] = [0, 1, 2, 4, 7, 8, 9, 12, 16, 17, 24, 32, 1000]
        var seen: Set<SpinBudget> = []
        var unvisited = [SpinBudget(limit: limit)]
        while let budget = unvisited.popLast() {
            guard seen.insert(budget).inserted else { continue }
            let allowance = budget.allowance
            guard (0...limit).contains(allowance), allowance <= max(3 * budget.expectedGap, 1),
                (0...63).contains(budget.waitsToSkip)
            else {
                Issue.record("\(budget)")
                return
            }
            for gap in gaps {
                var loop = Loop(limit: limit)
                loop.budget = budget
                loop.wait(gap)
                unvisited.append(loop.budget)
            }
            var idle = Loop(limit: limit)
            idle.budget = budget
            for _ in 0..<80 { idle.wait(1000) }
            var busy = Loop(limit: limit)
            busy.budget = budget
            for _ in 0..<10 { busy.wait(0) }
            guard idle.inVain <= 3, busy.inVain == 0, busy.blocked <= 7 else {
                Issue.record("\(budget): \(idle), \(busy)")
                return
            }
        }
        #expect(seen.count > 1000)
    }

    @Test("Limits that make no sense are put right, and gaps that make none do no harm")
    func extremes() {
        #expect(SpinBudget(limit: 0).allowance == 1)
        #expect(SpinBudget(limit: .min).allowance == 1)
        #expect(SpinBudget(limit: .max).allowance == SpinBudget.longestLimit)
        var budget = SpinBudget(limit: .max)
        budget.spunInVain(gap: .max)
        budget.blocked(gap: .min)
        budget.found(after: -1)
        #expect(budget.expectedGap > 0)
    }
}
