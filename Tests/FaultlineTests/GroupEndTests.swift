import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .requiresKernelFaults, .timeLimit(.minutes(5)))
struct GroupEndTests {
    private let page = SystemPage.size

    /// Answers even pages; odd ones have to wait for the gate.
    private func gated(_ gate: Gate) -> ClosureHandler {
        ClosureHandler { request in
            if request.offset / request.pageSize % 2 == 1 { await gate.wait() }
            return try .copy(NumberedPages.buffer(for: request, first: 1))
        }
    }

    @Test func `unmapping lets threads of all stripes go, and seals what was never supplied`() async throws {
        try await withGroup(reactors: 2) { group in
            let gate = Gate()
            let region = try await group.map(
                byteCount: 12 * page, handler: gated(gate), layout: StripeLayout(stripeByteCount: 3 * page))
            #expect(await FaultingThread { region.word(4) == 5 && region.word(10) == 11 }.value)
            // One in each stripe; what they read is sealed under them.
            let threads = [1, 3, 7, 11].map { number in FaultingThread { region.canBeRead(number) } }
            for thread in threads { await thread.waitUntilParked() }
            try await group.unmap(region)
            for thread in threads { #expect(await !thread.value) }
            for number in 0..<12 { #expect(region.canBeRead(number) == [4, 10].contains(number)) }
            #expect(await FaultingThread { region.word(4) == 5 && region.word(10) == 11 }.value)
            let statistics = await group.statistics
            #expect(statistics.inFlightPages == 0)
            gate.open()
            let error = await #expect(throws: PagerError.self) { try await group.unmap(region) }
            #expect(error?.code == .invalidRange)
            // The group goes on.
            let other = try await group.map(byteCount: 4 * page, handler: NumberedPages(first: 3))
            #expect(await FaultingThread { other.word(3) }.value == 6)
        }
    }

    @Test func `a handler that fails in one stripe poisons there, and the others go on`() async throws {
        let log = FailureLog()
        try await withGroup(reactors: 2, Pager.Configuration(onFailure: { log.add($0) })) { group in
            let page = self.page
            let handler = ClosureHandler { request in
                guard request.offset != 2 * page else { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await group.map(
                byteCount: 8 * page, handler: handler, options: RegionOptions(name: "striped"),
                layout: StripeLayout(stripeByteCount: 2 * page))
            #expect(await FaultingThread { region.canBeRead(2) }.value == false)
            let words = await FaultingThread { [0, 1, 3, 4, 5, 6, 7].map { region.word($0) } }.value
            #expect(words == [1, 2, 4, 5, 6, 7, 8])
            #expect(log.failures.map(\.action) == [.poisoned])
            #expect(log.failures.first?.region == "striped")
            #expect(log.failures.first?.range.start == region.range.start + UInt(2 * page))
            #expect(await group.isServing)
        }
    }

    @Test func `a failure whose policy is to stop ends all pagers, and says why`() async throws {
        try await withGroup(reactors: 3) { group in
            let page = self.page
            let never = Gate()
            let handler = ClosureHandler { request in
                if request.offset == page { throw StoreIsDown() }
                if request.offset == 2 * page { await never.wait() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await group.map(
                byteCount: 6 * page, handler: handler, options: RegionOptions(failurePolicy: .stop),
                layout: StripeLayout(stripeByteCount: page))
            #expect(await FaultingThread { region.word(0) }.value == 1)
            let waiting = FaultingThread { region.canBeRead(2) }
            await waiting.waitUntilParked()
            #expect(await FaultingThread { region.canBeRead(1) }.value == false)
            let error = await #expect(throws: PagerError.self) { try await group.waitUntilStopped() }
            #expect(error?.code == .handlerFailed)
            #expect(await waiting.value == false)
            #expect(await !group.isServing)
            for number in 1..<6 { #expect(!region.canBeRead(number)) }
            #expect(await FaultingThread { region.word(0) }.value == 1)
            never.open()
            let refused = await #expect(throws: PagerError.self) {
                try await group.map(byteCount: page, handler: NumberedPages())
            }
            #expect(refused?.code == .shutDown)
        }
    }

    @Test func `a reactor that is shut down takes the group with it`() async throws {
        try await withGroup(reactors: 3) { group in
            let gate = Gate()
            let region = try await group.map(
                byteCount: 6 * page, handler: gated(gate), layout: StripeLayout(stripeByteCount: page))
            #expect(await FaultingThread { region.word(0) }.value == 1)
            // In the stripe of the reactor that goes, and in one of a reactor that stays: its answer still counts.
            let lost = FaultingThread { region.canBeRead(1) }
            let kept = FaultingThread { region.word(3) }
            await lost.waitUntilParked()
            await kept.waitUntilParked()
            await group.reactors.reactors[1].shutdown()
            #expect(await lost.value == false)
            gate.open()
            #expect(await kept.value == 4)
            try await group.waitUntilStopped()
            for number in [1, 2, 4, 5] { #expect(!region.canBeRead(number)) }
            #expect(region.canBeRead(0) && region.canBeRead(3))
            try await group.unmap(region)
        }
    }

    @Test func `shutdown waits for what is in flight on all reactors`() async throws {
        try await withGroup(reactors: 2) { group in
            let gate = Gate()
            let region = try await group.map(
                byteCount: 8 * page, handler: gated(gate), layout: StripeLayout(stripeByteCount: page))
            let threads = [1, 3, 5, 7].map { number in FaultingThread { region.word(number) } }
            // A thread may wait before its fault is read: such pages are not supplied any more.
            try await eventually { await group.statistics.inFlightPages == 4 }
            async let end: Void = group.shutdown()
            gate.open()
            await end
            for (thread, number) in zip(threads, [2, 4, 6, 8]) {
                #expect(await thread.value == UInt64(number))
            }
            for number in 0..<8 { #expect(region.canBeRead(number) == (number % 2 == 1)) }
            await group.shutdown()
        }
    }

    @Test func `shutdown ends at its deadline, however stuck handlers are`() async throws {
        try await withGroup(reactors: 2) { group in
            let gate = Gate()
            let region = try await group.map(
                byteCount: 4 * page, handler: gated(gate), layout: StripeLayout(stripeByteCount: page))
            let threads = [1, 3].map { number in FaultingThread { region.canBeRead(number) } }
            for thread in threads { await thread.waitUntilParked() }
            await group.shutdown(within: .milliseconds(10))
            for thread in threads { #expect(await thread.value == false) }
            gate.open()
        }
    }

    @Test func `a group that is dropped lets everybody go`() async throws {
        let reactors = try ReactorGroup.start(.init(count: 2))
        let gate = Gate()
        let page = self.page
        let (range, threads) = try await { () async throws -> (AddressRange, [FaultingThread<Bool>]) in
            let group = try await PagerGroup(on: reactors)
            let region = try await group.map(
                byteCount: 4 * page, handler: gated(gate), layout: StripeLayout(stripeByteCount: page))
            let range = region.range
            let threads = [1, 3].map { number in
                FaultingThread {
                    MemoryProbe.readThroughKernel(range.start + UInt(number * page), count: 1) != nil
                }
            }
            for thread in threads { await thread.waitUntilParked() }
            return (range, threads)
        }()
        for thread in threads { #expect(await thread.value == false, "\(range)") }
        gate.open()
        await reactors.shutdown()
    }

    @Test func `nothing is left of a region that has been unmapped`() async throws {
        try await withGroup(reactors: 2) { group in
            final class Held: FaultHandler {
                func resolve(_ request: FaultRequest) async throws -> Resolution { .zero }
            }
            weak var handler: Held?
            do {
                let own = Held()
                handler = own
                let region = try await group.map(
                    byteCount: 64 * page, handler: own, layout: StripeLayout(stripeByteCount: page))
                #expect(await FaultingThread { (0..<64).allSatisfy { region.word($0) == 0 } }.value)
                try await group.unmap(region)
            }
            for pager in group.pagers { _ = await pager.statistics }
            #expect(handler == nil)
            // The addresses can be used again.
            for _ in 0..<4 {
                let again = try await group.map(
                    byteCount: 64 * page, handler: NumberedPages(first: 1),
                    layout: StripeLayout(stripeByteCount: 2 * page))
                #expect(await FaultingThread { again.word(63) }.value == 64)
                try await group.unmap(again)
            }
        }
    }

    @Test func `faults go on while a region is unmapped, again and again`() async throws {
        try await withGroup(reactors: 2) { group in
            let stays = try await group.map(
                byteCount: 400 * page, handler: NumberedPages(first: 1),
                layout: StripeLayout(stripeByteCount: 7 * page))
            let reader = FaultingThread { (0..<400).allSatisfy { stays.word($0) == UInt64($0) + 1 } }
            for round in 0..<12 {
                let region = try await group.map(
                    byteCount: 60 * page, handler: NumberedPages(first: 1),
                    layout: StripeLayout(stripeByteCount: 3 * page))
                let threads = (0..<4).map { first in
                    FaultingThread {
                        // Right, or sealed; never anything else.
                        stride(from: first, to: 60, by: 4).allSatisfy { number in
                            let bytes = MemoryProbe.readThroughKernel(
                                region.range.start + UInt(number * region.pageSize), count: 8)
                            return bytes == nil || bytes?.first == UInt8(number + 1)
                        }
                    }
                }
                try await group.unmap(region)
                for thread in threads { #expect(await thread.value, "round \(round)") }
            }
            #expect(await reader.value)
        }
    }
}
