import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct RegistrationTests {
    let page = SystemPage.size

    @Test(arguments: [0, -1, Int.min, Int.max])
    func `a length that makes no region is refused`(byteCount: Int) async throws {
        try await withPager { pager in
            let error = await #expect(throws: PagerError.self) {
                try await pager.map(byteCount: byteCount, handler: ZeroFillHandler())
            }
            #expect(error?.code == .invalidRange)
        }
    }

    @Test func `a length that is no multiple of a page is rounded up`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: page + 1, handler: ZeroFillHandler())
            #expect(region.byteCount == 2 * page)
            let thread = FaultingThread {
                region.load(fromByteOffset: 2 * region.pageSize - 1, as: UInt8.self)
            }
            #expect(await thread.value == 0)
        }
    }

    @Test func `memory too large for the address space is refused by name`() async throws {
        try await withPager { pager in
            let error = await #expect(throws: PagerError.self) {
                try await pager.map(byteCount: 1 << 60, handler: ZeroFillHandler())
            }
            #expect(error?.code == .system)
            #expect(error?.systemFailure?.call == "mmap")
        }
    }

    @Test func `misaligned, empty and wrapping memory is refused before the kernel sees it`() async throws {
        try await withPager { pager in
            let start = MemoryProbe.map(byteCount: 4 * page)
            defer { MemoryProbe.unmap(start, byteCount: 4 * page) }
            let ranges = [
                AddressRange(start: start + 1, byteCount: page),
                AddressRange(start: start, byteCount: page + 1),
                AddressRange(start: start, byteCount: 0),
                AddressRange(start: 0, byteCount: page),
            ]
            for range in ranges {
                let error = await #expect(throws: PagerError.self) {
                    try await unsafe pager.register(unsafeMemoryAt: range, handler: ZeroFillHandler())
                }
                #expect(error?.code == .invalidRange)
            }
        }
    }

    @Test func `overlapping memory is refused, on every pager of the reactor`() async throws {
        try await withPager { pager in
            let start = MemoryProbe.map(byteCount: 4 * page)
            defer { MemoryProbe.unmap(start, byteCount: 4 * page) }
            let first = AddressRange(start: start + UInt(page), byteCount: 2 * page)
            let region = try await unsafe pager.register(unsafeMemoryAt: first, handler: NumberedPages())
            let other = try await Pager(on: pager.reactor)
            let overlaps = [
                AddressRange(start: start, byteCount: 2 * page),
                AddressRange(start: start, byteCount: 4 * page),
                AddressRange(start: start + UInt(2 * page), byteCount: page),
                first,
            ]
            for range in overlaps {
                for pager in [pager, other] {
                    let error = await #expect(throws: PagerError.self) {
                        try await unsafe pager.register(unsafeMemoryAt: range, handler: ZeroFillHandler())
                    }
                    #expect(error?.code == .overlap)
                }
            }
            let thread = FaultingThread { region.load(fromByteOffset: region.pageSize, as: UInt64.self) }
            #expect(await thread.value == 1)
            try await pager.unmap(region)
            let again = try await unsafe other.register(unsafeMemoryAt: first, handler: NumberedPages())
            #expect(again.range == first)
            await other.shutdown()
        }
    }

    @Test func `memory that is not anonymous is refused with the kernel's reason`() async throws {
        try await withPager { pager in
            // A file that is mapped: served by its filesystem, never by a userfaultfd.
            let file = try PageSource(mappingFileAt: "/proc/self/exe")
            let range = AddressRange(start: file.range.start, byteCount: page)
            let error = await #expect(throws: PagerError.self) {
                try await unsafe pager.register(unsafeMemoryAt: range, handler: ZeroFillHandler())
            }
            #expect(error?.code == .kernel)
            #expect(error?.kernelError?.errno == .invalidArgument)
        }
    }

    @Test(.requiresKernelFaults)
    func `a source inside a registered range is refused, since it would wait for itself`() async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let inner = try await pager.map(byteCount: 4 * page, handler: ZeroFillHandler())
            let source = unsafe PageSource(unsafeMemoryAt: inner.range)
            let outer = try await pager.map(byteCount: 4 * page, handler: MemoryHandler(source))
            let thread = FaultingThread { MemoryProbe.readThroughKernel(outer.range.start, count: 8) }
            #expect(await thread.value == nil)
            #expect((log.failures.first?.error as? PagerError)?.code == .sourceIsRegistered)
            #expect((log.failures.first?.error as? PagerError)?.range == inner.range)
        }
    }

    @Test(.requiresKernelFaults)
    func `a source inside a range of another pager on the same reactor is refused as well`()
        async throws
    {
        let log = FailureLog()
        try await withPager { pager in
            let inner = try await pager.map(byteCount: 4 * page, handler: ZeroFillHandler())
            let other = try await Pager(
                on: pager.reactor, configuration: Pager.Configuration(onFailure: { log.add($0) }))
            let source = unsafe PageSource(unsafeMemoryAt: inner.range)
            let outer = try await other.map(byteCount: page, handler: MemoryHandler(source))
            let thread = FaultingThread { MemoryProbe.readThroughKernel(outer.range.start, count: 8) }
            #expect(await thread.value == nil)
            #expect((log.failures.first?.error as? PagerError)?.code == .sourceIsRegistered)
            await other.shutdown()
        }
    }

    @Test func `an unmapped region cannot be unmapped again`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: page, handler: ZeroFillHandler())
            try await pager.unmap(region)
            let error = await #expect(throws: PagerError.self) { try await pager.unmap(region) }
            #expect(error?.code == .invalidRange)
        }
    }

    @Test func `touching a region on the reactor's thread is stopped before it hangs`() async throws {
        await #expect(processExitsWith: .failure) {
            let reactor = try Reactor.start()
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(byteCount: 4096, handler: ZeroFillHandler())
            _ = await reactor.run { region.load(fromByteOffset: 0, as: UInt8.self) }
        }
    }

    @Test func `a descriptor table that is full gives a typed error`() async throws {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            await DescriptorHog.withFullTable {
                let error = await #expect(throws: PagerError.self) {
                    _ = try await Pager(on: reactor)
                }
                #expect(error?.kernelError?.errno == .tooManyFiles)
            }
            let pager = try await Pager(on: reactor)
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
