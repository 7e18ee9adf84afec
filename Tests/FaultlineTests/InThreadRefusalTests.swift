import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What a pager that resolves in-thread cannot do, it says.
@Suite(.requiresUserfaultfd(.sigbus), .timeLimit(.minutes(5)))
struct InThreadRefusalTests {
    let page = SystemPage.size

    @Test func `a descriptor must have the features that the resolution needs`() async throws {
        let reactor = try Reactor.start()
        let inThread = Pager.Configuration(resolution: .inThread)
        let cases: [(Features, Pager.Configuration)] = [
            ([], inThread), ([.sigbus, .removeEvents], inThread), (.sigbus, Pager.Configuration()),
        ]
        for (features, configuration) in cases {
            let error = await #expect(throws: PagerError.self) {
                let descriptor = try Userfaultfd(requiring: features)
                _ = try await Pager(on: reactor, descriptor: descriptor, configuration: configuration)
            }
            #expect(error?.code == .unsupportedOperation, "\(features)")
        }
        let error = await #expect(throws: PagerError.self) {
            _ = try await Pager(
                on: reactor, adopting: Userfaultfd(requiring: .sigbus), configuration: inThread)
        }
        #expect(error?.code == .unsupportedOperation)
        let eventful = await #expect(throws: PagerError.self) {
            _ = try await Pager(on: reactor, configuration: .init(resolution: .inThread, events: .remove))
        }
        #expect(eventful?.code == .unsupportedOperation)
        await reactor.shutdown()
    }

    @Test func `write protection is refused, and nothing stays behind`() async throws {
        // There until the pager is gone, which poisons what it has not supplied: the addresses are somebody else's then.
        let start = MemoryProbe.map(byteCount: 4 * page)
        defer { MemoryProbe.unmap(start, byteCount: 4 * page) }
        try await withInThreadPager { pager in
            let range = AddressRange(start: start, byteCount: 4 * page)
            let error = await #expect(throws: PagerError.self) {
                try await unsafe pager.register(
                    unsafeMemoryAt: range, handler: ZeroFillHandler(),
                    options: RegionOptions(modes: [.missing, .writeProtect]))
            }
            #expect(error?.code == .unsupportedOperation)
            let refused = await #expect(throws: PagerError.self) {
                try await unsafe pager.register(
                    unsafeMemoryAt: range, handler: ZeroFillHandler(), options: RegionOptions(modes: .minor))
            }
            #expect(refused?.code == .kernel)
            let region = try await unsafe pager.register(unsafeMemoryAt: range, handler: ZeroFillHandler())
            #expect(await region.reader(ofPage: 3).value == 0)
            let protect = await #expect(throws: PagerError.self) { try await pager.protect(region) }
            #expect(protect?.code == .unsupportedOperation)
            try await pager.unmap(region)
            // The same addresses again, in place of a region that is over.
            let again = try await unsafe pager.register(
                unsafeMemoryAt: range, handler: ZeroFillHandler())
            #expect(await again.reader(ofPage: 3).value == 0)
        }
    }

    @Test func `bytes in a registered range are no source`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: ZeroFillHandler())
            let error = await #expect(throws: PagerError.self) {
                let source = unsafe PageSource(unsafeMemoryAt: region.range)
                _ = try await pager.map(byteCount: 4 * page, handler: MemoryHandler(source))
            }
            #expect(error?.code == .sourceIsRegistered)
        }
    }

    @Test func `pagers of both kinds live on one reactor`() async throws {
        try await withInThreadPager { inThread in
            let other = try await Pager(on: inThread.reactor)
            let source = try numberedBytes(4 * page, first: 3)
            let first = try await inThread.map(byteCount: 4 * page, handler: MemoryHandler(source))
            let second = try await other.map(byteCount: 4 * page, handler: MemoryHandler(source))
            #expect(await first.reader(ofPage: 1).value == 4)
            #expect(await second.reader(ofPage: 2).value == 5)
            #expect(await inThread.statistics.messages == 0)
            #expect(await other.statistics.messages == 1)
            await other.shutdown()
            #expect(await first.reader(ofPage: 3).value == 6)
        }
    }
}
