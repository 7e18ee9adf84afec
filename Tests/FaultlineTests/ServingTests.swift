import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Pages whose every word is the number of its page, counted from `first`.
struct NumberedPages: FaultHandler {
    var first: UInt64 = 0

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        try .copy(Self.buffer(for: request, first: first))
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        try .copy(Self.buffer(for: request, first: first))
    }

    static func buffer(for request: FaultRequest, first: UInt64 = 0) throws -> PageBuffer {
        var buffer = try request.makeBuffer()
        for offset in stride(from: 0, to: request.byteCount, by: 8) {
            buffer.store(first + UInt64((request.offset + offset) / request.pageSize), toByteOffset: offset)
        }
        return buffer
    }
}

@Suite(.timeLimit(.minutes(1)))
struct ServingTests {
    @Test func `one page is served, and only that one`() async throws {
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor)
        let region = try await pager.map(byteCount: 16 * SystemPage.size, handler: NumberedPages())
        let thread = FaultingThread { region.load(fromByteOffset: 3 * region.pageSize + 8, as: UInt64.self) }
        #expect(await thread.value == 3)
        let statistics = await pager.statistics
        #expect(statistics.requests == 1)
        #expect(statistics.presentPages == 1)
        #expect(statistics.inFlightPages == 0)
        #expect(statistics.copies == 1)
        #expect(statistics.wakes == 0)
        await pager.shutdown()
        await reactor.shutdown()
    }
}
