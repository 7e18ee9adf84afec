import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .requiresKernelFaults, .timeLimit(.minutes(5)))
struct GroupRefusalTests {
    private let page = SystemPage.size

    @Test(arguments: [
        Pager.Configuration(resolution: .inThread), Pager.Configuration(events: .fork),
        Pager.Configuration(events: [.remove, .unmap]), Pager.Configuration(events: .remap),
        Pager.Configuration(writeProtection: .asynchronousWherePossible),
    ])
    func `what concerns all stripes at once is refused, with what to do instead`(
        configuration: Pager.Configuration
    ) async throws {
        let reactors = try ReactorGroup.start(.init(count: 2))
        let error = await #expect(throws: PagerError.self) {
            _ = try await PagerGroup(on: reactors, configuration: configuration)
        }
        #expect(error?.code == .unsupportedOperation)
        #expect(error?.description.contains("single Pager") == true)
        await reactors.shutdown()
    }

    @Test func `a group on reactors of which one is shut down is refused`() async throws {
        let reactors = try ReactorGroup.start(.init(count: 3))
        await reactors.reactors[2].shutdown()
        let error = await #expect(throws: PagerError.self) { _ = try await PagerGroup(on: reactors) }
        #expect(error?.code == .reactor || error?.code == .shutDown)
        await reactors.shutdown()
    }

    @Test func `lengths and layouts that cannot be are refused, and nothing is left registered`() async throws
    {
        try await withGroup(reactors: 2) { group in
            for byteCount in [0, -1, Int.max] {
                let error = await #expect(throws: PagerError.self) {
                    try await group.map(byteCount: byteCount, handler: NumberedPages())
                }
                #expect(error?.code == .invalidRange)
            }
            let error = await #expect(throws: PagerError.self) {
                try await group.map(
                    byteCount: page, handler: NumberedPages(), layout: StripeLayout(placement: .pattern([5])))
            }
            #expect(error?.code == .badLayout)
            let none = await #expect(throws: PagerError.self) {
                _ = try await PagerGroup(on: group.reactors, pagersPerReactor: 0)
            }
            #expect(none?.code == .badLayout)
            // Minor faults are for shared memory: the first stripe is refused, or the last.
            let refused = await #expect(throws: PagerError.self) {
                try await group.map(
                    byteCount: 4 * page, handler: NumberedPages(), options: RegionOptions(modes: .minor))
            }
            #expect(refused?.code == .kernel)
            let region = try await group.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            #expect(await FaultingThread { region.word(3) }.value == 4)
        }
    }

    @Test func `a region of another group is refused`() async throws {
        try await withGroup(reactors: 1) { first in
            try await withGroup(reactors: 1) { second in
                let region = try await first.map(byteCount: page, handler: NumberedPages())
                for call in [second.unmap, { try await second.protect($0) }]
                    as [(StripedRegion) async throws -> Void]
                {
                    let error = await #expect(throws: PagerError.self) { try await call(region) }
                    #expect(error?.code == .invalidRange)
                }
            }
        }
    }

    @Test func `nothing is copied from another stripe, whose thread may wait for this one`() async throws {
        let log = FailureLog()
        try await withGroup(reactors: 2, Pager.Configuration(onFailure: { log.add($0) })) { group in
            let page = self.page
            // Answers from the bytes of the other stripe.
            let handler = ClosureHandler { request in
                guard request.offset == 0 else { return .zero }
                let other = AddressRange(start: request.region.start + UInt(page), byteCount: page)
                return unsafe .copy(from: PageSource(unsafeMemoryAt: other), at: 0)
            }
            let region = try await group.map(
                byteCount: 2 * page, handler: handler, layout: StripeLayout(stripeByteCount: page))
            #expect(await FaultingThread { region.canBeRead(0) }.value == false)
            let error = log.failures.first?.error as? PagerError
            #expect(error?.code == .sourceIsRegistered)
            #expect(await FaultingThread { region.word(1) }.value == 0)
        }
    }

    @Test func `touching a region on a thread of its reactors traps`() async throws {
        await #expect(processExitsWith: .failure) {
            let reactors = try ReactorGroup.start(.init(count: 2))
            let group = try await PagerGroup(on: reactors)
            let region = try await group.map(byteCount: 1 << 16, handler: ZeroFillHandler())
            _ = await reactors.reactors[1].run { region.load(fromByteOffset: 0, as: UInt8.self) }
        }
    }

    @Test(.requiresHugePages)
    func `huge pages are striped by whole pages`() async throws {
        let loan = try HugePageLoan()
        try await withGroup(reactors: 2) { group in
            let region = try await group.map(
                byteCount: 4 << 20, handler: NumberedPages(first: 1),
                options: RegionOptions(usesHugePages: true),
                layout: StripeLayout(stripeByteCount: 4096))
            #expect(region.pageSize == 2 << 20 && region.stripeByteCount == 2 << 20)
            #expect(await FaultingThread { region.word(0) == 1 && region.word(1) == 2 }.value)
            for pager in group.pagers { #expect(await pager.statistics.presentPages == 1) }
        }
        withExtendedLifetime(loan) {}
    }
}
