import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

private typealias Engine = DirtyTracker.Engine
private let engines: [Engine] =
    UserfaultfdRequirement.unmet(.asynchronousWriteProtect, kernelFaults: false) == nil
    ? [.messages, .asynchronous] : [.messages]

private func withPager<T>(engine: Engine, _ body: (Pager) async throws -> T) async throws -> T {
    let choice: Pager.WriteProtection = engine == .messages ? .messages : .asynchronousWherePossible
    return try await withPager(Pager.Configuration(writeProtection: choice), body)
}

/// Which pages were written, told by both engines.
@Suite(
    .requiresUserfaultfd([.writeProtectFaults, .writeProtectUnpopulated]),
    .timeLimit(.minutes(5)), .serialized)
struct DirtyTrackerTests {
    let page = SystemPage.size

    @Test(arguments: TrackedKind.allCases, engines)
    func `each collection has the pages written since the last one, and no other`(
        kind: TrackedKind, engine: DirtyTracker.Engine
    ) async throws {
        try await withPager(engine: engine) { pager in
            let pages = 512
            let region = try await kind.map(on: pager, pages: pages)
            let seed = TestSeed()
            // Some pages are there before, written and read.
            await FaultingThread {
                var random = TestRandom(seed)
                for _ in 0..<100 {
                    region.store(UInt64(1), toByteOffset: random.below(pages) * region.pageSize)
                }
                for _ in 0..<100 {
                    _ = region.load(fromByteOffset: random.below(pages) * region.pageSize, as: UInt8.self)
                }
            }.value
            let tracker = try await region.trackDirty()
            #expect(tracker.engine == engine)
            #expect(try await tracker.collect().isEmpty)
            for round in 0..<8 {
                let written = await FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(round + 1))
                    var written: Set<Int> = []
                    for _ in 0..<round * 20 {
                        let number = random.below(pages)
                        _ = region.load(fromByteOffset: random.below(pages) * region.pageSize, as: UInt8.self)
                        region.store(
                            UInt64(round), toByteOffset: number * region.pageSize + 8 * random.below(512))
                        written.insert(number)
                    }
                    return written
                }.value
                let seen = try await tracker.peek()
                #expect(seen.numbers(from: region.range.start) == written.sorted(), "\(seed)")
                let collected = try await tracker.collect()
                #expect(collected == seen, "\(seed)")
                #expect(collected.pageCount == written.count)
            }
            #expect(try await tracker.collect().isEmpty)
            await tracker.stop()
            let error = await #expect(throws: PagerError.self) { try await tracker.collect() }
            #expect(error?.code == .shutDown)
            // Nobody waits, nobody is asked.
            await FaultingThread {
                for number in 0..<pages { region.store(UInt64(9), toByteOffset: number * region.pageSize) }
            }.value
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test(arguments: TrackedKind.allCases, engines)
    func `a write during collections is in the one or the next`(
        kind: TrackedKind, engine: DirtyTracker.Engine
    ) async throws {
        try await withPager(engine: engine) { pager in
            let pages = 256
            let region = try await kind.map(on: pager, pages: pages)
            let tracker = try await region.trackDirty()
            let log = CollectionLog()
            let seed = TestSeed()
            let stop = StopSign()
            defer { stop.putUp() }
            let writers = (0..<4).map { number in
                FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(number))
                    while !stop.isUp {
                        let target = random.chance(50) ? random.below(pages) : random.below(8)
                        log.write(page: target) {
                            region.store(random.next(), toByteOffset: target * region.pageSize + 8 * number)
                        }
                    }
                }
            }
            try await log.collect(tracker, rounds: TestProcess.hasSanitizer ? 20 : 60)
            stop.putUp()
            for writer in writers { await writer.value }
            try await log.collect(tracker)
            log.check("\(seed)")
            #expect(try await tracker.collect().isEmpty)
        }
    }

    @Test(arguments: engines)
    func `several collections at a time share the pages out`(engine: DirtyTracker.Engine) async throws {
        try await withPager(engine: engine) { pager in
            let region = try await TrackedKind.empty.map(on: pager, pages: 300)
            let tracker = try await region.trackDirty()
            await FaultingThread {
                for number in stride(from: 0, to: 300, by: 3) {
                    region.store(UInt8(1), toByteOffset: number * region.pageSize)
                }
            }.value
            let found = try await withThrowingTaskGroup(of: [Int].self) { group in
                for _ in 0..<4 {
                    group.addTask { try await tracker.collect().numbers(from: region.range.start) }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(found.sorted() == Array(stride(from: 0, to: 300, by: 3)))
        }
    }

    @Test(.requiresUserfaultfd(.move, kernelFaults: false))
    func `pages come clean, however they are supplied`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer()
                buffer.store(UInt64(request.offset / request.pageSize) + 1, toByteOffset: 0)
                switch request.offset / request.pageSize % 3 {
                case 0: return .copy(buffer)
                case 1: return .move(buffer)
                default: return .zero
                }
            }
            let region = try await pager.map(
                byteCount: 90 * page, handler: handler,
                options: RegionOptions(maximumRequestPages: 1, modes: [.missing, .writeProtect]))
            let tracker = try await region.trackDirty()
            let values = await FaultingThread {
                (0..<60).map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }.value
            let expected: [UInt64] = (0..<60).map { (number: Int) in number % 3 == 2 ? 0 : UInt64(number) + 1
            }
            #expect(values == expected)
            #expect(try await tracker.collect().isEmpty)
            // Written at once, or after they were read: both are writes.
            await FaultingThread {
                for number in 50..<90 { region.store(UInt64(7), toByteOffset: number * region.pageSize + 8) }
            }.value
            #expect(try await tracker.collect().numbers(from: region.range.start) == Array(50..<90))
            #expect(await pager.statistics.moves == 0, "nothing can be protected as it is moved")
        }
    }

    @Test func `the handler is asked about writes again when the tracking is over`() async throws {
        try await withPager { pager in
            let asked = Lock<[Int]>([])
            let handler = ClosureHandler { request in
                guard request.kind == .writeProtect else { return .zero }
                asked.withLock { $0.append(request.offset / request.pageSize) }
                return .unprotect
            }
            let region = try await pager.map(
                byteCount: 8 * page, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]))
            await FaultingThread {
                for number in 0..<8 { region.store(UInt8(1), toByteOffset: number * region.pageSize) }
            }.value
            try await pager.protect(region)
            let tracker = try await region.trackDirty()
            await FaultingThread { region.store(UInt8(2), toByteOffset: 0) }.value
            #expect(asked.withLock { $0 }.isEmpty)
            #expect(await pager.statistics.watchedWrites == 1)
            await tracker.stop()
            await FaultingThread { region.store(UInt8(3), toByteOffset: 2 * region.pageSize) }.value
            #expect(asked.withLock { $0 }.isEmpty)
            try await pager.protect(region)
            await FaultingThread { region.store(UInt8(3), toByteOffset: 2 * region.pageSize) }.value
            #expect(asked.withLock { $0 } == [2])
        }
    }

    @Test func `a handler that was asked before the tracking began answers to the tracker`() async throws {
        try await withPager { pager in
            let gate = Gate()
            let isAsked = Gate()
            let handler = ClosureHandler { request in
                guard request.kind == .writeProtect else { return .zero }
                isAsked.open()
                await gate.wait()
                return .unprotect
            }
            let region = try await pager.map(
                byteCount: 8 * page, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]))
            await FaultingThread { region.store(UInt8(1), toByteOffset: 0) }.value
            try await pager.protect(region)
            let writer = FaultingThread { region.store(UInt8(2), toByteOffset: 0) }
            await isAsked.wait()
            let tracker = try await region.trackDirty()
            gate.open()
            await writer.value
            #expect(try await tracker.collect().numbers(from: region.range.start) == [0])
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test func `what cannot be tracked is refused with a reason`() async throws {
        try await withPager { pager in
            let plain = try await pager.map(byteCount: page, handler: ZeroFillHandler())
            let unsupported = await #expect(throws: PagerError.self) { try await plain.trackDirty() }
            #expect(unsupported?.code == .unsupportedOperation)
            let region = try await TrackedKind.supplied.map(on: pager, pages: 4)
            let tracker = try await region.trackDirty()
            let busy = await #expect(throws: PagerError.self) { try await region.trackDirty() }
            #expect(busy?.code == .busy)
            await tracker.stop()
            await tracker.stop()
            let second = try await region.trackDirty()
            try await pager.unmap(region)
            let over = await #expect(throws: PagerError.self) { try await second.collect() }
            #expect(over?.code == .shutDown)
            await second.stop()
            let gone = await #expect(throws: PagerError.self) { try await region.trackDirty() }
            #expect(gone?.code == .shutDown)
        }
    }

    @Test(arguments: engines)
    func `a tracker that is let go of ends its tracking`(engine: DirtyTracker.Engine) async throws {
        try await withPager(engine: engine) { pager in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 4)
            for _ in 0..<20 {
                var tracker: DirtyTracker? = try await region.trackDirty()
                await FaultingThread { region.store(UInt8(1), toByteOffset: 0) }.value
                #expect(try await tracker?.collect().pageCount == 1)
                tracker = nil
            }
        }
    }

    @Test func `a kernel that is busy now and then does not make writes get lost`() async throws {
        let seed = TestSeed()
        let random = Lock(TestRandom(seed))
        let script: @Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome? = { call, _ in
            guard call.kind == .protect || call.kind == .unprotect else { return nil }
            return random.withLock { $0.chance(40) } ? .again : nil
        }
        try await withScriptedPager(script: script) { pager, _ in
            let region = try await TrackedKind.supplied.map(on: pager, pages: 64)
            let tracker = try await region.trackDirty()
            let log = CollectionLog()
            let stop = StopSign()
            defer { stop.putUp() }
            let writers = (0..<3).map { number in
                FaultingThread {
                    var random = TestRandom(seed, stream: UInt64(number + 1))
                    while !stop.isUp {
                        let target = random.below(64)
                        log.write(page: target) {
                            region.store(UInt8(1), toByteOffset: target * region.pageSize + number)
                        }
                    }
                }
            }
            try await log.collect(tracker, rounds: TestProcess.hasSanitizer ? 20 : 60)
            stop.putUp()
            for writer in writers { await writer.value }
            try await log.collect(tracker)
            log.check("\(seed)")
            await tracker.stop()
        }
    }

    @Test func `a collection of many pages goes on for several turns, and nothing gets lost`() async throws {
        try await withPager { pager in
            let pages = 6000
            let seed = TestSeed()
            let region = try await TrackedKind.empty.map(on: pager, pages: pages)
            let tracker = try await region.trackDirty()
            let log = CollectionLog()
            for round in 0..<3 {
                let stop = StopSign()
                defer { stop.putUp() }
                // Every other page, so that each has to be protected by itself.
                await FaultingThread {
                    for page in stride(from: round % 2, to: pages, by: 2) {
                        log.write(page: page, pause: false) {
                            region.store(UInt8(1), toByteOffset: page * region.pageSize)
                        }
                    }
                }.value
                let writers = (0..<2).map { number in
                    FaultingThread {
                        var random = TestRandom(seed, stream: UInt64(number + 1))
                        while !stop.isUp {
                            let page = random.below(pages)
                            log.write(page: page) {
                                region.store(UInt8(2), toByteOffset: page * region.pageSize + number)
                            }
                        }
                    }
                }
                try await log.collect(tracker, rounds: 5)
                stop.putUp()
                for writer in writers { await writer.value }
            }
            try await log.collect(tracker)
            log.check("\(seed)")
        }
    }
}
