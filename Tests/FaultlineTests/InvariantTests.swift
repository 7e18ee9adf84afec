import EventReactor
import Faultline
import FaultlineTestKit
import Synchronization
import Testing
import Userfault

/// What always holds, whatever the kernel, the handlers and the owner do: the numbered list of docs/architecture.md.
@Suite(.requiresKernelFaults, .timeLimit(.minutes(5)))
struct InvariantTests {
    let page = SystemPage.size
    let seed = TestSeed()

    @Test(arguments: [WakePolicy.immediate, .endOfTurn, .adaptive], [true, false])
    func `invariant 1: every fault read is settled exactly once, whatever fails`(
        policy: WakePolicy, synchronous: Bool
    ) async throws {
        let pageCount = 300
        let accesses = TestProcess.hasSanitizer ? 20 : 80
        let troubles = Troubles(seed: seed, pageSize: page)
        try await withScriptedPager(
            Pager.Configuration(wakePolicy: policy),
            script: troubles.script,
            { pager, _ in
                let handler = UnreliableHandler(seed: seed, synchronous: synchronous, reactor: pager.reactor)
                let options = RegionOptions(
                    failurePolicy: .retry(limit: 1, initialDelay: .microseconds(20)), maximumRequestPages: 16)
                let region = try await pager.map(
                    byteCount: pageCount * page, handler: handler, options: options)
                troubles.begin(in: region)
                let start = region.range.start
                let threads = (0..<12).map { number in
                    FaultingThread { [seed, page] in
                        var random = TestRandom(seed, stream: UInt64(100 + number))
                        return (0..<accesses).allSatisfy { _ in
                            let wanted = random.below(pageCount)
                            let bytes = MemoryProbe.readThroughKernel(
                                start + UInt(wanted * page + 64), count: 8)
                            return bytes == nil || bytes == Store.word(ofPage: wanted)
                        }
                    }
                }
                for thread in threads {
                    #expect(await thread.value, "contents or an error, nothing else; \(seed)")
                }
                // The last answers may still be on their way; nothing new comes.
                while await pager.statistics.inFlightPages > 0 { await Task.yield() }
                let statistics = await pager.statistics
                let settled = statistics.bytes / page + statistics.exists
                #expect(
                    settled == handler.pagesAsked,
                    "each page asked for is settled once; \(statistics), \(seed)")
                #expect(statistics.strays == 0, "\(seed)")
                #expect(statistics.presentPages <= settled, "\(seed)")
                #expect(statistics.messages >= statistics.joined + statistics.late, "\(seed)")
            })
    }

    @Test(arguments: [true, false])
    func `invariant 2: nobody stays parked, and nobody is shown zeroes that nobody gave`(
        unread: Bool
    ) async throws {
        let pageCount = 64
        try await withPager { pager in
            let handler = ClosureHandler { request in
                // Pages that are asked for, and never supplied.
                if request.offset / request.pageSize >= 8 {
                    try await pager.reactor.sleep(for: .seconds(1000))
                }
                return try .copy(Store.buffer(for: request))
            }
            let region = try await pager.map(
                byteCount: pageCount * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
            let start = region.range.start
            let supplied = FaultingThread { [page] in
                (0..<8).allSatisfy {
                    MemoryProbe.readThroughKernel(start + UInt($0 * page), count: 8) == Store.word(ofPage: $0)
                }
            }
            #expect(await supplied.value)
            // The shutdown stands in line right behind what holds the loop, so that nothing is read before it.
            let ahead = await LoopHold.take(pager.reactor)
            let taking = Task.immediate { unread ? await LoopHold.take(pager.reactor) : nil }
            let early = unread ? Task.immediate { await pager.shutdown(within: .zero) } : nil
            ahead.release()
            let hold = await taking.value
            let threads = (8..<40).map { number in
                FaultingThread { [page] in
                    MemoryProbe.readThroughKernel(start + UInt(number * page), count: 8)
                }
            }
            for thread in threads { await thread.waitUntilParked() }
            let before = unread ? 8 : 40
            if !unread { while handler.callCount < before { await Task.yield() } }
            hold?.release()
            await early?.value
            await pager.shutdown(within: .zero)
            for thread in threads { #expect(await thread.value == nil, "an error, not zeroes") }
            #expect(handler.callCount == before)
            let check = FaultingThread { [page] in
                (0..<pageCount).filter {
                    MemoryProbe.readThroughKernel(start + UInt($0 * page), count: 1) != nil
                }
            }
            #expect(await check.value == Array(0..<8), "what was supplied stays, the rest is no memory")
        }
    }

    @Test func `invariant 3: a page gets the bytes its store holds, once, and is never filled over`()
        async throws
    {
        let pageCount = TestProcess.hasSanitizer ? 40 : 200
        let step = TestProcess.hasSanitizer ? 37 : 1
        let troubles = Troubles(seed: seed, pageSize: page, fails: false)
        try await withScriptedPager(
            script: troubles.script,
            { pager, _ in
                let handler = UnreliableHandler(
                    seed: seed, synchronous: false, reactor: pager.reactor, failures: 0)
                let region = try await pager.map(byteCount: pageCount * page, handler: handler)
                troubles.begin(in: region)
                // Each page is read whole, then written by one of the threads, who all meet it in an order of their own.
                let threads = (0..<4).map { number in
                    FaultingThread { [seed] in
                        var random = TestRandom(seed, stream: UInt64(number))
                        return (0..<pageCount).shuffled(using: &random).allSatisfy { wanted in
                            let offset = wanted * region.pageSize
                            let isRight = stride(from: 1, to: region.pageSize / 8, by: step).allSatisfy {
                                region.load(fromByteOffset: offset + 8 * $0, as: UInt64.self)
                                    == Store.number(ofPage: wanted)
                            }
                            if wanted % 4 == number {
                                region.store(UInt64(number) << 32, toByteOffset: offset)
                            }
                            return isRight
                        }
                    }
                }
                for thread in threads { #expect(await thread.value, "\(seed)") }
                let check = FaultingThread {
                    (0..<pageCount).allSatisfy {
                        region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) == UInt64($0 % 4)
                            << 32
                    }
                }
                #expect(await check.value, "what was written is still there; \(seed)")
                #expect(await pager.statistics.presentPages == pageCount, "\(seed)")
            })
    }

    @Test(arguments: 0..<6)
    func `invariant 4: the loop's thread never touches a registered page`(accessor: Int) async throws {
        let result = await #expect(processExitsWith: .failure) { [accessor = accessor as Int] in
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(byteCount: 4096, handler: ZeroFillHandler())
            await reactor.run {
                switch accessor {
                case 0: _ = region.load(fromByteOffset: 0, as: UInt8.self)
                case 1: region.store(UInt8(0), toByteOffset: 0)
                case 2: _ = region.readBytes(0..<1)
                case 3: region.writeBytes([0], at: 0)
                case 4: region.withBytes(0..<1) { _ in }
                default: region.withMutableBytes(0..<1) { _ in }
                }
            }
            TestProcess.exit(0)
        }
        guard case .signal = result?.exitStatus else {
            Issue.record("a trap ends it, not \(String(describing: result?.exitStatus))")
            return
        }
    }

    @Test(arguments: [WakePolicy.immediate, .endOfTurn, .adaptive])
    func `invariant 5: a turn's ioctls are its contiguous runs, and one wake for each merged run`(
        policy: WakePolicy
    ) async throws {
        try await withScriptedPager(
            Pager.Configuration(wakePolicy: policy), script: { _, _ in nil },
            { pager, kernel in
                let pageCount = 150
                let region = try await pager.map(byteCount: pageCount * page, handler: NumberedPages())
                var random = TestRandom(seed)
                var rest = Array(0..<pageCount)
                while rest.count > 40 {
                    rest.shuffle(using: &random)
                    let wanted = rest.suffix(1 + random.below(50)).sorted()
                    rest.removeAll { wanted.contains($0) }
                    let runs = wanted.indices.count { $0 == 0 || wanted[$0] != wanted[$0 - 1] + 1 }
                    let before = kernel.calls.count
                    let threads = await faultTogether(region, at: wanted.map { $0 * page }, as: UInt64.self)
                    for (index, thread) in threads.enumerated() {
                        #expect(await thread.value == UInt64(wanted[index]), "\(seed)")
                    }
                    // The turn is over when the loop has time for this.
                    await pager.reactor.run {}
                    let calls = kernel.calls[before...]
                    let copies = calls.filter { $0.kind == .copy }
                    let wakes = calls.filter { $0.kind == .wake }
                    #expect(copies.count <= runs, "\(seed)")
                    let wakeLimit = policy == .immediate ? 0 : 1
                    #expect(wakes.count <= wakeLimit, "nothing is in flight between the runs; \(seed)")
                    #expect(calls.count == copies.count + wakes.count, "\(seed)")
                }
            })
    }

    @Test(arguments: [true, false])
    func `invariant 7: stopping is bounded in time, however stuck handlers and kernel are`(
        kernelStuck: Bool
    ) async throws {
        let isEnding = Atomic(false)
        try await withScriptedPager(
            script: { call, _ in
                guard kernelStuck else { return nil }
                // Copies never get anywhere, and in the end not even poison does.
                return call.kind == .copy
                    || isEnding.load(ordering: .sequentiallyConsistent) && call.kind == .poison
                    ? .again : nil
            },
            { pager, _ in
                let gate = Gate()
                let handler = ClosureHandler { request in
                    if request.offset % (2 * request.pageSize) == 0 { await gate.wait() }
                    return try .copy(Store.buffer(for: request))
                }
                let region = try await pager.map(
                    byteCount: 64 * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
                let threads = (0..<32).map { number in
                    FaultingThread { [page] in
                        MemoryProbe.readThroughKernel(region.range.start + UInt(number * page), count: 8)
                    }
                }
                while handler.callCount < 32 { await Task.yield() }
                isEnding.store(true, ordering: .sequentiallyConsistent)
                let clock = ContinuousClock()
                let time = await clock.measure { await pager.shutdown(within: .milliseconds(30)) }
                #expect(time >= .milliseconds(30), "until the deadline there is hope")
                #expect(
                    time < .seconds(60),
                    "the bound is the deadline and a little, on a machine that is not loaded")
                for (number, thread) in threads.enumerated() {
                    let bytes = await thread.value
                    #expect(bytes == nil || !kernelStuck && bytes == Store.word(ofPage: number))
                    #expect(number % 2 == 1 || bytes == nil)
                }
                gate.open()
            })
    }
}
