import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// In processes of their own, whose memory and time nobody else uses.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct MemoryInvariantTests {
    @Test func `invariant 6: memory grows with what is touched, not with the region`() async throws {
        await #expect(processExitsWith: .success) {
            let page = SystemPage.size
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            // What the first region and its first fault set up once is not counted.
            let first = try await pager.map(byteCount: page, handler: ZeroFillHandler())
            let warmUp = FaultingThread { first.load(fromByteOffset: 0, as: UInt8.self) }
            _ = await warmUp.value
            // The sanitizers keep books on every allocation, however little of it is used.
            let slack = TestProcess.hasSanitizer ? 1 << 30 : 1 << 20
            let before = TestProcess.residentBytes
            let region = try await pager.map(byteCount: 1 << 40, handler: ZeroFillHandler())
            let mapped = TestProcess.residentBytes
            #expect(before > 0)
            #expect(mapped - before < slack, "a region of a tebibyte that nobody has touched")
            let touched = 2000
            let thread = FaultingThread {
                for number in 0..<touched {
                    region.store(UInt8(1), toByteOffset: (1 << 39) + number * region.pageSize)
                }
            }
            await thread.value
            let growth = TestProcess.residentBytes - mapped
            #expect(growth >= touched * page / 2)
            #expect(growth < touched * page + 2 * slack, "the pages, and next to nothing for the books")
            await pager.shutdown()
            await reactor.shutdown()
        }
    }

    @Test func `invariant 6: a fault costs the same in a large region as in a small one`() async throws {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let rounds = 6
            let faults = 300
            let page = SystemPage.size
            let large = try await pager.map(byteCount: 1 << 40, handler: ZeroFillHandler())
            let small = try await pager.map(byteCount: rounds * faults * page, handler: ZeroFillHandler())
            let best = FaultingThread { () -> [Duration] in
                let clock = ContinuousClock()
                var best: [Duration] = [.seconds(1000), .seconds(1000)]
                // In turn, and the best of each: what else the machine does meets both.
                for round in 0..<rounds {
                    for (index, region) in [large, small].enumerated() {
                        let base = index == 0 ? 1 << 39 : 0
                        let time = clock.measure {
                            for number in 0..<faults {
                                _ = region.load(
                                    fromByteOffset: base + (round * faults + number) * region.pageSize,
                                    as: UInt8.self)
                            }
                        }
                        best[index] = min(best[index], time)
                    }
                }
                return best
            }
            let times = await best.value
            #expect(times[0] < times[1] * 3, "\(times)")
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
