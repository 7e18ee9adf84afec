import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.timeLimit(.minutes(5))) struct LatencyTests {
    private let page = SystemPage.size

    @Test func `a histogram knows each value to within an eighth`() {
        for value in [0, 1, 7, 8, 9, 15, 16, 100, 999, 1_000, 123_456, 10_000_000, 3_600_000_000_000] {
            var histogram = LatencyHistogram()
            histogram.record(.nanoseconds(value))
            histogram.record(.nanoseconds(value * 3))
            let found = histogram.quantile(0.5)
            #expect(found >= .nanoseconds(value) && found <= .nanoseconds(value + value / 8))
            #expect(histogram.quantile(1) == .nanoseconds(value * 3))
            #expect(histogram.count == 2 && histogram.maximum == .nanoseconds(value * 3))
            #expect(histogram.total == .nanoseconds(value * 4))
            #expect(histogram.count(upTo: .nanoseconds(value + value / 8)) >= 1)
            #expect(histogram.count(upTo: .nanoseconds(value * 3)) == 2)
        }
    }

    @Test func `odd values are counted where they fit best`() {
        var histogram = LatencyHistogram()
        #expect(histogram.quantile(0.99) == .zero)
        histogram.record(.seconds(-1))
        histogram.record(.seconds(Int64.max))
        #expect(histogram.count == 2 && histogram.quantile(0) == .zero)
        #expect(histogram.quantile(.nan) == histogram.maximum)
        var sum = histogram
        sum.add(histogram)
        #expect(sum.count == 4 && sum.total == histogram.total + histogram.total)
    }

    @Test func `quantiles are in order, whatever was recorded`() {
        var generator = SeededGenerator(seed: 5)
        var histogram = LatencyHistogram()
        var values: [Int64] = []
        for _ in 0..<5000 {
            let value = Int64.random(
                in: 0..<1 << Int64.random(in: 1..<40, using: &generator), using: &generator)
            values.append(value)
            histogram.record(.nanoseconds(value))
        }
        values.sort()
        for part in [0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1] {
            let exact = values[max(Int((Double(values.count) * part).rounded(.up)) - 1, 0)]
            let found = histogram.quantile(part)
            #expect(found >= .nanoseconds(exact) && found <= .nanoseconds(exact + exact / 8))
        }
    }

    @Test(.requiresUserfaultfd, arguments: [WakePolicy.immediate, .endOfTurn])
    func `each stage is timed for each fault, and handlers are unchanged`(policy: WakePolicy) async throws {
        let observer = Observer()
        let pause = Duration.milliseconds(20)
        try await withPager(
            .init(wakePolicy: policy, measuresLatency: true, observer: observer)
        ) { pager in
            let handler = ClosureHandler { request in
                try await pager.reactor.sleep(for: pause)
                return try .copy(NumberedPages.buffer(for: request, first: 3))
            }
            let region = try await pager.map(byteCount: 5 * page, handler: handler)
            let quick = try await pager.map(byteCount: 5 * page, handler: NumberedPages(first: 7))
            for number in 0..<5 {
                let thread = FaultingThread { [page] in
                    (
                        region.load(fromByteOffset: number * page, as: UInt64.self),
                        quick.load(fromByteOffset: number * page, as: UInt64.self)
                    )
                }
                let (slow, fast) = await thread.value
                #expect(slow == UInt64(number) + 3 && fast == UInt64(number) + 7)
            }
            let latencies = try #require(await pager.latencies)
            #expect(latencies.queue.count == 10 && latencies.store.count == 10)
            #expect(latencies.ioctls.count == 10)
            #expect(latencies.wake.count == (policy == .immediate ? 0 : 10))
            // Half of the requests waited for the pause.
            #expect(latencies.store.quantile(0.9) >= pause && latencies.store.total >= pause * 5)
            #expect(latencies.queue.maximum < .seconds(60))
            #expect(observer.began.withLock { $0 } == Array(1...10))
            #expect(observer.ended.withLock { $0.sorted() } == Array(1...10))
        }
    }

    @Test(.requiresUserfaultfd) func `by default nothing is timed`() async throws {
        try await withPager { pager in #expect(await pager.latencies == nil) }
    }

    @Test(.requiresUserfaultfd, .requiresKernelFaults) func `an observer sees failures`() async throws {
        struct Reason: Error {}
        let observer = Observer()
        try await withPager(.init(observer: observer)) { pager in
            let region = try await pager.map(byteCount: page, handler: ClosureHandler { _ in throw Reason() })
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
            #expect(await thread.value == nil)
            #expect(observer.errors.withLock { $0 } == ["Reason()"])
            #expect(await pager.latencies == nil)
        }
    }

    private final class Observer: PagerObserver {
        let began = Lock<[UInt64]>([])
        let ended = Lock<[UInt64]>([])
        let errors = Lock<[String]>([])

        func requestBegan(_ id: UInt64, _ request: FaultRequest) { began.withLock { $0.append(id) } }

        func requestEnded(_ id: UInt64, _ request: FaultRequest, error: (any Error)?) {
            ended.withLock { $0.append(id) }
            if let error { errors.withLock { $0.append("\(error)") } }
        }
    }
}
