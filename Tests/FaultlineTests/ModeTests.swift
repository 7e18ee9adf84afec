import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Minor faults, write protection, moves, shared memory and huge pages.
@Suite(.timeLimit(.minutes(5)), .requiresUserfaultfd)
struct ModeTests {
    let page = SystemPage.size

    @Test func `minor faults map what the handler put into shared memory, without a copy`() async throws {
        try await withPager { pager in
            let memory = try SharedMemory(byteCount: 16 * page)
            for number in 0..<16 { memory.store(UInt64(number) + 3, toByteOffset: number * page) }
            let handler = ClosureHandler { request in
                #expect(request.kind == .minor)
                // Edits before the answer are seen.
                memory.store(UInt32(9), toByteOffset: request.offset + 8)
                return .mapExisting
            }
            let region = try await pager.map(
                memory, handler: handler, options: RegionOptions(maximumRequestPages: 1, modes: .minor))
            let thread = FaultingThread {
                (0..<16).allSatisfy { number in
                    region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) == UInt64(number)
                        + 3
                        && region.load(fromByteOffset: number * region.pageSize + 8, as: UInt32.self) == 9
                }
            }
            #expect(await thread.value)
            let statistics = await pager.statistics
            #expect(statistics.continues == 16)
            #expect(statistics.copies == 0)
            let writer = FaultingThread { region.store(UInt64(77), toByteOffset: 0) }
            await writer.value
            #expect(memory.load(fromByteOffset: 0, as: UInt64.self) == 77, "it is the same memory")
        }
    }

    @Test(arguments: [false, true])
    func `missing pages of shared memory are filled, shared or private`(isPrivate: Bool) async throws {
        try await withPager { pager in
            let memory = try SharedMemory(byteCount: 8 * page)
            let region = try await pager.map(memory, isPrivate: isPrivate, handler: NumberedPages(first: 4))
            let thread = FaultingThread { region.load(fromByteOffset: 5 * region.pageSize, as: UInt64.self) }
            #expect(await thread.value == 9)
            #expect(memory.load(fromByteOffset: 5 * page, as: UInt64.self) == (isPrivate ? 0 : 9))
        }
    }

    @Test func `absent pages are missing and cached ones minor, where a region has both modes`() async throws
    {
        try await withPager { pager in
            let memory = try SharedMemory(byteCount: 4 * page)
            memory.store(UInt64(1), toByteOffset: 0)
            let kinds = Lock<[Fault.Kind]>([])
            let handler = ClosureHandler { request in
                kinds.withLock { $0.append(request.kind) }
                if request.kind == .minor { return .mapExisting }
                return try .copy(NumberedPages.buffer(for: request, first: 40))
            }
            let region = try await pager.map(
                memory, handler: handler, options: RegionOptions(modes: [.missing, .minor]))
            let thread = FaultingThread {
                [0, 2].map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }
            #expect(await thread.value == [1, 42])
            #expect(kinds.withLock { $0 } == [.minor, .missing])
        }
    }

    @Test func `writes to protected pages ask the handler, once for all who write, and reads do not`()
        async throws
    {
        try await withPager { pager in
            let writes = Lock<[Int]>([])
            let gate = Gate()
            let handler = ClosureHandler { request in
                if request.kind == .missing {
                    return try .copy(NumberedPages.buffer(for: request)).writeProtected()
                }
                writes.withLock { $0.append(request.offset / request.pageSize) }
                await gate.wait()
                return .unprotect
            }
            let region = try await pager.map(
                byteCount: 8 * page, handler: handler,
                options: RegionOptions(modes: [.missing, .writeProtect]))
            let reader = FaultingThread { region.load(fromByteOffset: 3 * region.pageSize, as: UInt64.self) }
            #expect(await reader.value == 3)
            let writers = (0..<4).map { number in
                FaultingThread {
                    region.store(UInt64(number), toByteOffset: 3 * region.pageSize + 64 * number)
                }
            }
            for writer in writers { await writer.waitUntilParked() }
            gate.open()
            for writer in writers { await writer.value }
            #expect(writes.withLock { $0 } == [3])
            #expect(await pager.statistics.unprotects == 1)
            #expect(await pager.statistics.inFlightPages == 0)

            try await pager.protect(
                region, AddressRange(start: region.range.start + UInt(3 * page), byteCount: page))
            let again = FaultingThread { region.store(UInt64(1), toByteOffset: 3 * region.pageSize) }
            await again.value
            #expect(writes.withLock { $0 } == [3, 3])
        }
    }

    @Test func `a handler that fails on a write lets the write through, and the owner knows`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                if request.kind == .writeProtect { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request)).writeProtected()
            }
            let region = try await pager.map(
                byteCount: page, handler: handler, options: RegionOptions(modes: [.missing, .writeProtect]))
            let writer = FaultingThread {
                region.store(UInt64(5), toByteOffset: 8)
                return region.load(fromByteOffset: 8, as: UInt64.self)
            }
            #expect(await writer.value == 5)
            #expect(log.failures.map(\.action) == [.unprotected])
        }
    }

    @Test func `contents are no answer to a write or to a minor fault`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                let answer = try Resolution.copy(NumberedPages.buffer(for: request))
                return request.kind == .missing ? answer.writeProtected() : answer
            }
            let region = try await pager.map(
                byteCount: page, handler: handler, options: RegionOptions(modes: [.missing, .writeProtect]))
            let writer = FaultingThread { region.store(UInt64(5), toByteOffset: 8) }
            await writer.value
            #expect((log.failures.first?.error as? PagerError)?.code == .badResolution)
        }
    }

    @Test(.requiresUserfaultfd(.move, kernelFaults: false))
    func `moved buffers become the region's pages, and come back empty`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer()
                buffer.store(UInt64(request.offset / request.pageSize) + 1, toByteOffset: 8)
                return .move(buffer)
            }
            let region = try await pager.map(
                byteCount: 64 * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
            let thread = FaultingThread {
                (0..<64).allSatisfy { number in
                    region.load(fromByteOffset: number * region.pageSize + 8, as: UInt64.self) == UInt64(
                        number) + 1
                        && region.load(fromByteOffset: number * region.pageSize, as: UInt64.self) == 0
                }
            }
            #expect(await thread.value)
            #expect(await pager.statistics.moves == 64)
        }
    }

    @Test(.requiresUserfaultfd(.move, kernelFaults: false))
    func `pages of a moved buffer that were never written read as zero`() async throws {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer()
                for number in [1, 2, 5] {
                    buffer.store(UInt64(number), toByteOffset: number * request.pageSize)
                }
                return .move(buffer)
            }
            let region = try await pager.map(byteCount: 8 * page, handler: handler)
            let done = try await region.prefetch()
            #expect(done.requestedPages == 8)
            let thread = FaultingThread {
                (0..<8).map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }
            #expect(await thread.value == [0, 1, 2, 0, 0, 5, 0, 0])
            let statistics = await pager.statistics
            #expect(statistics.messages == 0 && statistics.zeroPages == 5 && statistics.failures == 0)
        }
    }

    @Test(.requiresUserfaultfd(.move, kernelFaults: false))
    func `a page that somebody else holds is copied instead of moved`() async throws {
        let script: @Sendable (ScriptedKernel.Call, KernelDescriptor) -> Outcome? = { call, _ in
            call.kind == .move
                ? .failed(UserfaultfdError(operation: .move, errno: .busy, range: call.range)) : nil
        }
        try await withScriptedPager(script: script) { pager, _ in
            let handler = ClosureHandler { .move(try NumberedPages.buffer(for: $0)) }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread {
                (0..<4).map { region.load(fromByteOffset: $0 * region.pageSize, as: UInt64.self) }
            }
            #expect(await thread.value == [0, 1, 2, 3])
            #expect(await pager.statistics.failures == 0)
        }
    }

    @Test(.requiresKernelFaults)
    func `what the kernel does not offer for a region is refused before it is asked`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let answers: [Resolution] = [.mapExisting, Resolution.zero.writeProtected()]
            for answer in answers {
                let region = try await pager.map(byteCount: page, handler: ClosureHandler { _ in answer })
                let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
                #expect(await thread.value == nil)
                let error = await #expect(throws: PagerError.self) { try await pager.protect(region) }
                #expect(error?.code == .unsupportedOperation)
            }
            #expect(
                log.failures.map { ($0.error as? PagerError)?.code } == [
                    .unsupportedOperation, .unsupportedOperation,
                ])
            let error = await #expect(throws: PagerError.self) {
                try await pager.map(
                    byteCount: page, handler: ZeroFillHandler(), options: RegionOptions(modes: .minor))
            }
            #expect(error?.kernelError?.errno == .invalidArgument)
        }
    }

    @Test func `a system without huge pages says so`() async throws {
        try await withPager { pager in
            // More than any machine has reserved.
            let error = await #expect(throws: PagerError.self) {
                try await pager.map(
                    byteCount: 1 << 45, handler: ZeroFillHandler(),
                    options: RegionOptions(usesHugePages: true))
            }
            #expect(error?.code == .system)
        }
    }
}
