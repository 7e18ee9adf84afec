import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// The handlers that are included.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct HandlerTests {
    let page = SystemPage.size

    /// Bytes that differ from place to place.
    static func pattern(_ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ $0 >> 12) }
    }

    /// What a region of `pages` pages shows of `bytes` from `offset` on.
    static func expected(_ bytes: [UInt8], from offset: Int, pages: Int) -> [UInt8] {
        let part = bytes.dropFirst(offset).prefix(pages * SystemPage.size)
        return part + [UInt8](repeating: 0, count: pages * SystemPage.size - part.count)
    }

    /// Reads `pages` pages of `handler`'s: one by one in descending order, or all of them in one request.
    private func read(_ handler: some FaultHandler, pages: Int, together: Bool) async throws -> [UInt8] {
        try await withPager { pager in
            let region = try await pager.map(byteCount: pages * page, handler: handler)
            if together {
                let offsets = (0..<pages).map { $0 * page }
                for thread in await faultTogether(region, at: offsets, as: UInt8.self) {
                    _ = await thread.value
                }
                let requests = await pager.statistics.requests
                #expect(requests == 1)
            } else {
                let thread = FaultingThread {
                    for number in (0..<pages).reversed() {
                        _ = region.load(fromByteOffset: number * region.pageSize + 17, as: UInt8.self)
                    }
                }
                await thread.value
            }
            return region.readBytes(0..<region.byteCount)
        }
    }

    @Test(arguments: [0, 1, 4096, 5000, 12_288, 13_000, 1 << 20], [true, false])
    func `MemoryHandler shows the bytes from its offset on, and zeroes behind their end`(
        offset: Int, together: Bool
    ) async throws {
        let bytes = Self.pattern(3 * page + 123)
        let handler = MemoryHandler(try PageSource(copying: bytes), startingAt: offset)
        #expect(handler.baseOffset == offset)
        let shown = try await read(handler, pages: 6, together: together)
        #expect(shown == Self.expected(bytes, from: offset, pages: 6))
    }

    @Test(arguments: [0, 100, 4096, 9000, 100_000], [true, false])
    func `FileHandler shows a file, mapped or read`(offset: Int, together: Bool) async throws {
        // An odd size: the last page of the file is not full, and the region reaches beyond it.
        let bytes = Self.pattern(4 * page + 321)
        let file = TemporaryFile(bytes)
        let readings: [FileHandler.Reading] = [.mapped, .positionedReads(try WorkerPool(threads: 2))]
        for reading in readings {
            let handler = try FileHandler(path: file.path, startingAt: offset, reading: reading)
            #expect(handler.byteCount == bytes.count)
            #expect(handler.baseOffset == offset)
            let shown = try await read(handler, pages: 7, together: together)
            #expect(shown == Self.expected(bytes, from: offset, pages: 7), "\(reading)")
        }
    }

    @Test func `an empty file reads as zeroes`() async throws {
        let file = TemporaryFile([])
        for reading in [FileHandler.Reading.mapped, .positionedReads(try WorkerPool(threads: 1))] {
            let handler = try FileHandler(path: file.path, reading: reading)
            #expect(handler.byteCount == 0)
            let shown = try await read(handler, pages: 2, together: false)
            #expect(shown == [UInt8](repeating: 0, count: 2 * page))
        }
    }

    @Test func `a file that is not there, or no file, gives a typed error that says why`() throws {
        let readings: [FileHandler.Reading] = [.mapped, .positionedReads(try WorkerPool(threads: 1))]
        for reading in readings {
            let error = #expect(throws: SystemFailure.self) {
                try FileHandler(path: "/nonexistent/faultline", reading: reading)
            }
            #expect(error?.call == "open")
            #expect(error?.errno == .noEntry)
            #expect(error?.description.contains("ENOENT") == true)
        }
        for reading in readings {
            for path in ["/tmp", "/dev/zero"] {
                let error = #expect(throws: SystemFailure.self) {
                    try FileHandler(path: path, reading: reading)
                }
                #expect(error?.call == "fstat", "what has no size would show nothing but zeroes")
            }
        }
    }

    @Test(.requiresKernelFaults, arguments: [true, false])
    func `what was cut off from a file is a failure, not zeroes`(mapped: Bool) async throws {
        let log = FailureLog()
        try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let file = TemporaryFile(Self.pattern(3 * page))
            let workers = try WorkerPool(threads: 1)
            let handler = try FileHandler(
                path: file.path, reading: mapped ? .mapped : .positionedReads(workers))
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            file.truncate()
            for number in 0..<4 {
                let start = region.range.start + UInt(number * page)
                let thread = FaultingThread { MemoryProbe.readThroughKernel(start, count: 1) }
                #expect(await thread.value == (number < 3 ? nil : [0]))
            }
            #expect(log.failures.count == 3)
            let first = try #require(log.failures.first?.error)
            let call =
                (first as? SystemFailure)?.call ?? (first as? PagerError)?.kernelError?.errno.description
            #expect(call == (mapped ? "EFAULT (Bad address)" : "pread"))
        }
    }

    @Test(arguments: [true, false]) func `ZeroFillHandler shows zeroes`(together: Bool) async throws {
        let shown = try await read(ZeroFillHandler(), pages: 5, together: together)
        #expect(shown == [UInt8](repeating: 0, count: 5 * page))
    }

    @Test func `pages of zeroes are the region's own when they are written`() async throws {
        try await withPager { pager in
            let region = try await pager.map(byteCount: 2 * page, handler: ZeroFillHandler())
            let thread = FaultingThread {
                region.store(UInt64(7), toByteOffset: 0)
                return region.load(fromByteOffset: region.pageSize, as: UInt64.self)
            }
            #expect(await thread.value == 0)
            #expect(region.load(fromByteOffset: 0, as: UInt64.self) == 7)
        }
    }
}
