import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// What the kernel answers when others are faster, or the address space is changing.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct InterleavingTests {
    let page = SystemPage.size

    @Test func `a partial copy is resumed behind the page that was there`() async throws {
        let source = try PageSource(copying: [UInt8](repeating: 0xEE, count: SystemPage.size))
        let hole = Lock<AddressRange?>(nil)
        // Another caller fills the third page of the run just before the pager copies it.
        try await withScriptedPager(
            script: { call, kernel in
                let target = hole.withLock { hole in
                    defer { hole = nil }
                    return hole
                }
                if let target, call.kind == .copy {
                    _ = kernel.copy(from: source.range.start, to: target, wake: false)
                }
                return nil
            },
            { pager, _ in
                let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages())
                hole.withLock {
                    $0 = AddressRange(start: region.range.start + UInt(2 * page), byteCount: page)
                }
                let threads = await faultTogether(
                    region, at: [0, page, 2 * page, 3 * page], as: UInt64.self)
                #expect(await threads[0].value == 0)
                #expect(await threads[1].value == 1)
                #expect(await threads[2].value == 0xEEEE_EEEE_EEEE_EEEE)
                #expect(await threads[3].value == 3)
                let statistics = await pager.statistics
                #expect(statistics.partials == 1)
                #expect(statistics.exists == 1)
                #expect(statistics.copies == 3)
                #expect(statistics.inFlightPages == 0)
            })
    }

    /// The pages are few and the threads many: the first copy holds its wakes back, what follows it would not.
    @Test func `threads of the part that was done before a refusal are woken`() async throws {
        let calls = Lock(0)
        try await withScriptedPager(
            script: { call, kernel in
                guard call.kind == .copy else { return nil }
                let isFirst = calls.withLock { calls in
                    calls += 1
                    return calls == 1
                }
                guard isFirst, let source = call.source else { return nil }
                let first = AddressRange(start: call.range.start, byteCount: SystemPage.size)
                let outcome = kernel.copy(from: source, to: first, wake: call.wakes)
                return outcome == .whole ? .partial(bytesDone: SystemPage.size) : outcome
            },
            { pager, kernel in
                let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 6))
                let threads = await faultTogether(
                    region, at: [0, 8, 16, page, page + 8], as: UInt64.self)
                for thread in threads.prefix(3) { #expect(await thread.value == 6) }
                for thread in threads.suffix(2) { #expect(await thread.value == 7) }
                #expect(kernel.calls.first?.wakes == false)
                #expect(await pager.statistics.partials == 1)
            })
    }

    @Test(arguments: [WakePolicy.immediate, .endOfTurn])
    func `a thread asleep on a page that exists is woken`(policy: WakePolicy) async throws {
        let source = try PageSource(copying: [UInt8](repeating: 0x11, count: SystemPage.size))
        // Somebody installs the page without waking, just before us: EEXIST, and the thread sleeps on.
        try await withScriptedPager(
            Pager.Configuration(wakePolicy: policy),
            script: { call, kernel in
                if call.kind == .copy {
                    _ = kernel.copy(from: source.range.start, to: call.range, wake: false)
                }
                return nil
            },
            { pager, _ in
                let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages())
                let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt32.self) }
                #expect(await thread.value == 0x1111_1111)
                #expect(await pager.statistics.exists == 1)
                #expect(await pager.statistics.wakes == 1)
            })
    }

    @Test func `EAGAIN is retried by timer until it passes, without spinning`() async throws {
        let refusals = Lock(6)
        try await withScriptedPager(
            script: { call, _ in
                guard call.kind == .copy else { return nil }
                return refusals.withLock { left in
                    guard left > 0 else { return nil }
                    left -= 1
                    return .again
                }
            },
            { pager, kernel in
                let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 5))
                let before = await pager.reactor.statistics()
                let thread = FaultingThread { region.load(fromByteOffset: page, as: UInt64.self) }
                #expect(await thread.value == 6)
                let after = await pager.reactor.statistics()
                #expect(await pager.statistics.again == 6)
                #expect(after.timersFired - before.timersFired == 6)
                #expect(kernel.calls.filter { $0.kind == .copy }.count == 7)
                #expect(await pager.statistics.requests == 1, "the handler is not asked again")
            })
    }

    @Test func `what was copied before EAGAIN is kept, the rest is parked and resumed`() async throws {
        let step = Lock(0)
        try await withScriptedPager(
            script: { call, kernel in
                guard call.kind == .copy else { return nil }
                return step.withLock { step in
                    step += 1
                    return step == 2 || step == 3 ? .again : nil
                }
            },
            { pager, _ in
                let gate = Gate()
                let handler = ClosureHandler { request in
                    await gate.wait()
                    return try .copy(NumberedPages.buffer(for: request))
                }
                let region = try await pager.map(
                    byteCount: 8 * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
                let threads = await faultTogether(region, at: [0, 2 * page, 4 * page], as: UInt64.self)
                gate.open()
                #expect(await threads[0].value == 0)
                #expect(await threads[1].value == 2)
                #expect(await threads[2].value == 4)
                #expect(await pager.statistics.again == 2)
                #expect(await pager.statistics.inFlightPages == 0)
            })
    }

    @Test(.requiresKernelFaults) func `a refused copy fails its own page and no other`() async throws {
        let bad = Lock<UInt>(0)
        let log = FailureLog()
        try await withScriptedPager(
            Pager.Configuration(onFailure: { log.add($0) }),
            script: { call, kernel in
                let address = bad.withLock { $0 }
                guard call.kind == .copy, call.range.contains(address) else { return nil }
                // EFAULT, as for a source that cannot be read: ask the kernel with such a source.
                return kernel.copy(from: 1, to: call.range, wake: call.wakes)
            },
            { pager, _ in
                let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages())
                bad.withLock { $0 = region.range.start + UInt(page) }
                let hold = await LoopHold.take(pager.reactor)
                let threads = (0..<3).map { number in
                    let start = region.range.start + UInt(number * page)
                    return FaultingThread { MemoryProbe.readThroughKernel(start, count: 1) }
                }
                for thread in threads { await thread.waitUntilParked() }
                hold.release()
                #expect(await threads[0].value == [0])
                #expect(await threads[1].value == nil)
                #expect(await threads[2].value == [2])
                let error = try #require(log.failures.first?.error as? PagerError)
                #expect(error.kernelError?.errno == .badAddress)
                #expect(log.failures.count == 1)
            })
    }

    /// A copy that is refused leaves poison to be done while the answer to another copy is at hand already: that answer
    /// must not be taken for the poison's.
    @Test(.requiresKernelFaults) func `an answer that is at hand is given to its own pages`() async throws {
        enum Mode { case busy, refusing }
        let mode = Lock(Mode.busy)
        let start = Lock<UInt>(0)
        let source = try PageSource(copying: [UInt8](repeating: 5, count: SystemPage.size))
        try await withScriptedPager(
            script: { call, kernel in
                guard call.kind == .copy else { return nil }
                if call.range.start == start.withLock({ $0 }) {
                    if mode.withLock({ $0 }) == .busy { return .again }
                    return kernel.copy(from: 1, to: call.range, wake: false)
                }
                // Somebody else is faster.
                _ = kernel.copy(from: source.range.start, to: call.range, wake: false)
                return nil
            },
            { pager, _ in
                let handler = ClosureHandler { try .copy(NumberedPages.buffer(for: $0, first: 1)) }
                let region = try await pager.map(byteCount: 8 * page, handler: handler)
                start.withLock { $0 = region.range.start }
                let first = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
                while await pager.statistics.again == 0 { await Task.yield() }
                // The retry's timer and the second fault become ready in this order while the loop is held.
                let hold = await LoopHold.take(pager.reactor)
                try await Task.sleep(for: .milliseconds(5))
                mode.withLock { $0 = .refusing }
                let second = FaultingThread {
                    MemoryProbe.readThroughKernel(region.range.start + UInt(5 * SystemPage.size), count: 1)
                }
                await second.waitUntilParked()
                hold.release()
                #expect(await first.value == nil)
                #expect(await second.value == [5])
                #expect(handler.callCount == 2)
                #expect(await pager.statistics.exists == 1)
                #expect(await pager.statistics.poisonedPages == 1)
            })
    }

    @Test(.requiresKernelFaults) func `without poison the pages are sealed all the same`() async throws {
        try await withScriptedPager(
            script: { call, kernel in
                guard call.kind == .poison else { return nil }
                return kernel.copy(from: 1, to: call.range, wake: false)
            },
            { pager, _ in
                let region = try await pager.map(
                    byteCount: 4 * page, handler: FailingHandler(synchronous: true))
                let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
                #expect(await thread.value == nil)
                #expect(await pager.statistics.inFlightPages == 0)
            })
    }

    @Test(.requiresKernelFaults) func `a range unmapped under its waiters is dropped and its threads let go`()
        async throws
    {
        let log = FailureLog()
        try await withScriptedPager(
            Pager.Configuration(onFailure: { log.add($0) }),
            script: { call, _ in call.kind == .copy ? .gone(.range) : nil },
            { pager, _ in
                let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages())
                let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
                while log.failures.isEmpty { await Task.yield() }
                #expect(log.failures.first?.action == .dropped)
                #expect(await pager.statistics.inFlightPages == 0)
                await pager.shutdown(within: .zero)
                #expect(await thread.value == nil)
            })
    }

    @Test(.requiresKernelFaults) func `the end of the other process stops the pager and says so`()
        async throws
    {
        try await withScriptedPager(
            script: { call, _ in call.kind == .copy ? .gone(.process) : nil },
            { pager, _ in
                let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages())
                let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
                await #expect(throws: PagerError.self) { try await pager.waitUntilStopped() }
                #expect(await thread.value == nil)
            })
    }
}
