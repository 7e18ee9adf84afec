import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct FailurePolicyTests {
    let page = SystemPage.size

    @Test(.requiresKernelFaults, arguments: [true, false])
    func `poison lets the thread have an error, not a hang`(synchronous: Bool) async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(
                byteCount: 4 * page, handler: FailingHandler(synchronous: synchronous),
                options: RegionOptions(name: "broken"))
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
            #expect(await thread.value == nil)
            let failure = try #require(log.failures.first)
            #expect(failure.error is StoreIsDown)
            #expect(failure.action == .poisoned)
            #expect(failure.region == "broken")
            #expect(failure.range == AddressRange(start: region.range.start, byteCount: page))
            #expect(await pager.statistics.poisonedPages == 1)
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test func `a thread that touches a poisoned page itself gets SIGBUS`() async throws {
        await #expect(processExitsWith: .signal(7)) {
            MemoryProbe.dieOfBusErrors()
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(byteCount: 4096, handler: FailingHandler(synchronous: false))
            _ = region.load(fromByteOffset: 0, as: UInt64.self)
        }
    }

    @Test func `retry asks again with growing pauses, and then the page is there`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                if request.attempt < 3 { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request, first: 50))
            }
            let options = RegionOptions(
                failurePolicy: .retry(
                    limit: 3, initialDelay: .microseconds(100), maximumDelay: .microseconds(200)))
            let region = try await pager.map(byteCount: 4 * page, handler: handler, options: options)
            let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
            #expect(await thread.value == 51)
            #expect(handler.callCount == 4)
            let pauses = [100, 200, 200].map { FaultFailure.Action.retrying(after: .microseconds($0)) }
            #expect(log.failures.map(\.action) == pauses)
            #expect(log.failures.map(\.failures) == [1, 2, 3])
        }
    }

    @Test(.requiresKernelFaults) func `retry that is used up poisons`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let options = RegionOptions(
                failurePolicy: .retry(limit: 2, initialDelay: .microseconds(50), then: .poison))
            let region = try await pager.map(
                byteCount: page, handler: FailingHandler(synchronous: true), options: options)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
            #expect(await thread.value == nil)
            #expect(log.failures.count == 3)
            #expect(log.failures.last?.action == .poisoned)
        }
    }

    @Test(.requiresKernelFaults) func `stop ends the pager, frees every thread and tells the owner why`()
        async throws
    {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let gate = Gate()
            let waiting = ClosureHandler { _ in
                await gate.wait()
                return .zero
            }
            let healthy = try await pager.map(byteCount: 4 * page, handler: waiting)
            let parked = FaultingThread { MemoryProbe.readThroughKernel(healthy.range.start, count: 8) }
            await parked.waitUntilParked()
            let broken = try await pager.map(
                byteCount: page, handler: FailingHandler(synchronous: false),
                options: RegionOptions(failurePolicy: .stop))
            let thread = FaultingThread { MemoryProbe.readThroughKernel(broken.range.start, count: 8) }
            #expect(await thread.value == nil)
            #expect(await parked.value == nil)
            let error = await #expect(throws: PagerError.self) { try await pager.waitUntilStopped() }
            #expect(error?.code == .handlerFailed)
            #expect(log.failures.map(\.action) == [.stopped])
            await #expect(throws: PagerError.self) {
                try await pager.map(byteCount: page, handler: ZeroFillHandler())
            }
            gate.open()
        }
    }

    @Test(.requiresKernelFaults)
    func `an answer that does not fit its request is a failure, and costs nothing but its pages`()
        async throws
    {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                switch request.offset / request.pageSize {
                case 0:
                    return Resolution.zero.covering(AddressRange(start: request.range.start, byteCount: 1))
                case 1:
                    return Resolution.zero.covering(AddressRange(start: 4096, byteCount: request.pageSize))
                case 2:
                    return .copy(from: try PageSource(copying: [1, 2, 3]), at: 4000)
                default: return .zero
                }
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            for number in 0..<3 {
                let start = region.range.start + UInt(number * page)
                let thread = FaultingThread { MemoryProbe.readThroughKernel(start, count: 8) }
                #expect(await thread.value == nil)
            }
            #expect(
                log.failures.map { ($0.error as? PagerError)?.code } == [
                    .badResolution, .badResolution, .badResolution,
                ])
            let healthy = FaultingThread { region.load(fromByteOffset: 3 * region.pageSize, as: UInt64.self) }
            #expect(await healthy.value == 0)
        }
    }

    @Test(.requiresKernelFaults) func `a last answer that leaves pages open fails those, not the others`()
        async throws
    {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                Resolution.zero.covering(
                    AddressRange(start: request.range.start, byteCount: request.pageSize))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let hold = await LoopHold.take(pager.reactor)
            let threads = (0..<2).map { number in
                let start = region.range.start + UInt(number * page)
                return FaultingThread { MemoryProbe.readThroughKernel(start, count: 4) }
            }
            for thread in threads { await thread.waitUntilParked() }
            hold.release()
            #expect(await threads[0].value == [0, 0, 0, 0])
            #expect(await threads[1].value == nil)
        }
    }
}

/// A handler that always fails, in its synchronous entry or in its task.
struct FailingHandler: FaultHandler {
    var synchronous: Bool

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        if synchronous { throw StoreIsDown() }
        return nil
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution { throw StoreIsDown() }
}
