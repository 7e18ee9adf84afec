import EventReactor
import Faultline
import FaultlineTestKit
import Synchronization
import Testing
import Userfault

/// The stall detector says whose handler holds the loop.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct StallTests {
    @Test(arguments: [true, false])
    func `a handler that blocks the loop is reported with the name of its region`(synchronous: Bool)
        async throws
    {
        let reports = Lock<[StallReport]>([])
        var configuration = Reactor.Configuration(name: "stalling")
        configuration.stallThreshold = .milliseconds(2)
        configuration.onStall = { report in reports.withLock { $0.append(report) } }
        let reactor = try Reactor.start(configuration)
        let pager = try await Pager(on: reactor, configuration: Pager.Configuration(name: "shop"))
        let isNamed = Atomic(false)
        let handler = BlockingHandler(synchronous: synchronous) {
            isNamed.load(ordering: .sequentiallyConsistent)
        }
        let region = try await pager.map(
            byteCount: SystemPage.size, handler: handler, options: RegionOptions(name: "orders of today"))
        let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
        while !reports.withLock({ $0.contains { $0.activity.contains("orders of today") && $0.isOngoing } }) {
            await Task.yield()
        }
        isNamed.store(true, ordering: .sequentiallyConsistent)
        #expect(await thread.value == 0)
        let report = try #require(reports.withLock { $0.first { $0.activity.contains("orders of today") } })
        #expect(report.duration >= .milliseconds(2))
        #expect(!report.waitsForPageFault)
        await pager.shutdown()
        await reactor.shutdown()
    }

    @Test func `a handler that touches its own region is caught in the act`() async throws {
        await #expect(processExitsWith: .success) {
            var configuration = Reactor.Configuration()
            configuration.stallThreshold = .milliseconds(5)
            configuration.onStall = { if $0.waitsForPageFault { TestProcess.exit(0) } }
            let reactor = try Reactor.start(configuration)
            let pager = try await Pager(on: reactor)
            let handler = ClosureHandler { request in
                // Around the accessor that would have stopped it: the loop waits for itself.
                var buffer = try request.makeBuffer()
                buffer.store(MemoryProbe.byte(at: request.range.start), toByteOffset: 0)
                return .copy(buffer)
            }
            let region = try await pager.map(byteCount: 4096, handler: handler)
            let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            _ = await thread.value
            TestProcess.exit(1)
        }
    }
}

/// Holds the loop until a condition is fulfilled.
private struct BlockingHandler: FaultHandler {
    let synchronous: Bool
    let isReleased: @Sendable () -> Bool

    init(synchronous: Bool, until isReleased: @escaping @Sendable () -> Bool) {
        self.synchronous = synchronous
        self.isReleased = isReleased
    }

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        guard synchronous else { return nil }
        while !isReleased() {}
        return .zero
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        while !isReleased() {}
        return .zero
    }
}
