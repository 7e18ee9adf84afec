import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct ShutdownTests {
    let page = SystemPage.size

    @Test(.requiresKernelFaults)
    func `pages that were never supplied raise an error afterwards, those that were stay`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 8 * page, handler: NumberedPages(first: 3))
            for number in [2, 5] {
                let thread = FaultingThread {
                    region.load(fromByteOffset: number * region.pageSize, as: UInt64.self)
                }
                #expect(await thread.value == UInt64(number) + 3)
            }
            await pager.shutdown()
            for number in 0..<8 {
                let bytes = MemoryProbe.readThroughKernel(region.range.start + UInt(number * page), count: 1)
                #expect(bytes == ([2, 5].contains(number) ? [UInt8(number) + 3] : nil), "page \(number)")
            }
        }
    }

    @Test(.requiresKernelFaults)
    func `a large region that was hardly touched is closed without touching it all`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 1 << 40, handler: NumberedPages())
            let middle = 1 << 39
            let thread = FaultingThread { region.load(fromByteOffset: middle, as: UInt64.self) }
            #expect(await thread.value == UInt64(middle / page))
            await pager.shutdown()
            #expect(region.load(fromByteOffset: middle, as: UInt64.self) == UInt64(middle / page))
            #expect(MemoryProbe.readThroughKernel(region.range.start, count: 1) == nil)
            #expect(MemoryProbe.readThroughKernel(region.range.end - 8, count: 1) == nil)
        }
    }

    @Test func `what is in flight is finished before the deadline`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 8))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt64.self) }
            while handler.callCount == 0 { await Task.yield() }
            async let shutdown: Void = pager.shutdown(within: .seconds(240))
            while await pager.isServing { await Task.yield() }
            gate.open()
            #expect(await thread.value == 8)
            await shutdown
        }
    }

    @Test(.requiresKernelFaults) func `a deadline that passes cancels the handler and frees its thread`()
        async throws
    {
        try await withPager { pager in
            let wasCancelled = Gate()
            let handler = ClosureHandler { request in
                do {
                    try await pager.reactor.sleep(for: .seconds(1000))
                } catch {
                    wasCancelled.open()
                    throw error
                }
                return .zero
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
            while handler.callCount == 0 { await Task.yield() }
            await pager.shutdown(within: .milliseconds(5))
            #expect(await thread.value == nil)
            await wasCancelled.wait()
        }
    }

    @Test(.requiresKernelFaults)
    func `a handler that ignores its cancellation does not delay the end, and its answer is ignored`()
        async throws
    {
        try await withPager { pager in
            let gate = Gate()
            let done = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                await #expect(throws: PagerError.self) {
                    try await request.supply(Resolution.zero.covering(request.range))
                }
                done.open()
                return try .copy(NumberedPages.buffer(for: request))
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 8) }
            while handler.callCount == 0 { await Task.yield() }
            await pager.shutdown(within: .zero)
            #expect(await thread.value == nil)
            gate.open()
            await done.wait()
            #expect(MemoryProbe.readThroughKernel(region.range.start, count: 8) == nil)
        }
    }

    @Test(.requiresKernelFaults) func `threads whose faults were never read are let go`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 64 * page, handler: NumberedPages())
            let hold = await LoopHold.take(pager.reactor)
            let closed = Task { await pager.shutdown(within: .zero) }
            let threads = (0..<16).map { number in
                FaultingThread {
                    MemoryProbe.readThroughKernel(
                        region.range.start + UInt(number * region.pageSize), count: 1)
                }
            }
            for thread in threads { await thread.waitUntilParked() }
            hold.release()
            for thread in threads { _ = await thread.value }
            await closed.value
        }
    }

    @Test(.requiresKernelFaults)
    func `shutdown while a retry is pending, a fault is parked, or a part was supplied`() async throws {
        try await withScriptedPager(
            script: { call, _ in call.kind == .copy ? .again : nil },
            { pager, _ in
                let parked = try await pager.map(byteCount: 4 * page, handler: NumberedPages())
                let options = RegionOptions(failurePolicy: .retry(limit: 9, initialDelay: .seconds(1000)))
                let retried = try await pager.map(
                    byteCount: 4 * page, handler: FailingHandler(synchronous: false), options: options)
                let gate = Gate()
                let partial = try await pager.map(
                    byteCount: 4 * page,
                    handler: ClosureHandler { request in
                        try await request.supply(Resolution.zero.covering(request.range))
                        await gate.wait()
                        return .zero
                    })
                let threads = [parked, retried, partial].map { region in
                    FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
                }
                #expect(await threads[2].value == [0])
                while await pager.statistics.failures == 0 { await Task.yield() }
                while await pager.statistics.again == 0 { await Task.yield() }
                await pager.shutdown(within: .milliseconds(2))
                #expect(await threads[0].value == nil)
                #expect(await threads[1].value == nil)
                gate.open()
            })
    }

    @Test(.requiresKernelFaults) func `unmapping a region frees its threads and leaves the others alone`()
        async throws
    {
        try await withPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                await gate.wait()
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let first = try await pager.map(byteCount: 4 * page, handler: handler)
            let second = try await pager.map(byteCount: 4 * page, handler: handler)
            let one = FaultingThread { MemoryProbe.readThroughKernel(first.range.start, count: 1) }
            let two = FaultingThread { MemoryProbe.readThroughKernel(second.range.start, count: 1) }
            while handler.callCount < 2 { await Task.yield() }
            try await pager.unmap(first)
            #expect(await one.value == nil)
            #expect(!two.isFinished)
            gate.open()
            #expect(await two.value == [1])
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test(.requiresKernelFaults) func `shutting the reactor down shuts its pagers down`() async throws {
        let reactor = try Reactor.start()
        let pager = try await Pager(on: reactor)
        let gate = Gate()
        let handler = ClosureHandler { _ in
            await gate.wait()
            return .zero
        }
        let region = try await pager.map(byteCount: 4 * page, handler: handler)
        let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
        while handler.callCount == 0 { await Task.yield() }
        gate.open()
        _ = await thread.value
        let parked = FaultingThread {
            MemoryProbe.readThroughKernel(region.range.start + UInt(region.pageSize), count: 1)
        }
        _ = await parked.value
        await reactor.shutdown()
        #expect(MemoryProbe.readThroughKernel(region.range.end - 8, count: 1) == nil)
        try await pager.waitUntilStopped()
        await pager.shutdown()
        let error = await #expect(throws: PagerError.self) {
            try await pager.map(byteCount: page, handler: ZeroFillHandler())
        }
        #expect(error?.code == .shutDown)
    }

    @Test(.requiresKernelFaults) func `shutdown may be called by many, twice, and by a handler`() async throws
    {
        try await withPager { pager in
            let region = try await pager.map(
                byteCount: 4 * page,
                handler: ClosureHandler { _ in
                    await pager.shutdown(within: .zero)
                    return .zero
                })
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
            await withTaskGroup { group in
                for _ in 0..<8 { group.addTask { await pager.shutdown(within: .milliseconds(50)) } }
            }
            #expect(await thread.value == nil)
            await pager.shutdown()
            try await pager.waitUntilStopped()
        }
    }

    @Test func `nothing is left of a region that was unmapped, nor of a pager that has shut down`()
        async throws
    {
        weak var first: ClosureHandler?
        weak var second: ClosureHandler?
        try await withPager { pager in
            func serve() async throws -> (Region, ClosureHandler) {
                let handler = ClosureHandler { request in try .copy(NumberedPages.buffer(for: request)) }
                let region = try await pager.map(byteCount: 4 * page, handler: handler)
                let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
                #expect(await thread.value == 1)
                return (region, handler)
            }
            do {
                let (region, handler) = try await serve()
                first = handler
                try await pager.unmap(region)
            }
            #expect(first == nil)
            second = try await serve().1
            #expect(second != nil)
        }
        #expect(second == nil)
    }

    @Test(.requiresKernelFaults) func `a pager that is dropped frees its threads and closes its descriptor`()
        async throws
    {
        let reactor = try Reactor.start()
        let handler = ClosureHandler { request in
            try await reactor.sleep(for: .seconds(1000))
            return .zero
        }
        // Memory of our own: a region's would be unmapped with its region, and its addresses anybody's from then on.
        let start = MemoryProbe.map(byteCount: 4 * page)
        defer { MemoryProbe.unmap(start, byteCount: 4 * page) }
        var pager: Pager? = try await Pager(on: reactor)
        var region = try await unsafe pager?.register(
            unsafeMemoryAt: AddressRange(start: start, byteCount: 4 * page), handler: handler)
        let thread = FaultingThread { MemoryProbe.readThroughKernel(start, count: 1) }
        while handler.callCount == 0 { await Task.yield() }
        await thread.waitUntilParked()
        #expect(region != nil)
        region = nil
        #expect(!thread.isFinished)
        pager = nil
        #expect(await thread.value == nil)
        await reactor.shutdown()
    }
}
