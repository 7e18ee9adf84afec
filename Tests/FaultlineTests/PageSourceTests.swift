import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Sources, and answers that copy from them.
@Suite(.requiresUserfaultfd, .timeLimit(.minutes(5)))
struct PageSourceTests {
    let page = SystemPage.size

    /// A page that a handler answers with `source` from `offset` on; nil when the answer was refused.
    private func firstPage(of source: PageSource, at offset: Int) async throws -> [UInt8]? {
        let log = FailureLog()
        return try await withPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let region = try await pager.map(
                byteCount: page, handler: ClosureHandler { _ in .copy(from: source, at: offset) })
            let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: page) }
            let bytes = await thread.value
            #expect((bytes == nil) == !log.failures.isEmpty)
            return bytes
        }
    }

    @Test(.requiresKernelFaults) func `a copy of bytes is filled up with zeroes to the end of its page`()
        async throws
    {
        let bytes = HandlerTests.pattern(page / 2)
        let source = try PageSource(copying: bytes)
        #expect(source.byteCount == bytes.count)
        #expect(source.range.byteCount == bytes.count)
        #expect(source.range.start % UInt(page) == 0)
        let shown = try await firstPage(of: source, at: 0)
        #expect(shown == HandlerTests.expected(bytes, from: 0, pages: 1))
    }

    @Test(.requiresKernelFaults)
    func `a source that is filled in place holds what was appended, and zeroes behind it`() async throws {
        let source = try PageSource(byteCount: 2 * page) { span in
            for number in 0..<100 { span.append(UInt8(number)) }
        }
        #expect(source.byteCount == 2 * page)
        let shown = try await firstPage(of: source, at: 50)
        #expect(shown == (50..<100).map { UInt8($0) } + [UInt8](repeating: 0, count: page - 50))
    }

    @Test(.requiresKernelFaults) func `a mapped file of odd size serves its last page too`() async throws {
        let bytes = HandlerTests.pattern(page + 77)
        let file = TemporaryFile(bytes)
        let source = try PageSource(mappingFileAt: file.path)
        #expect(source.byteCount == bytes.count)
        let shown = try await firstPage(of: source, at: page)
        #expect(shown == HandlerTests.expected(bytes, from: page, pages: 1))
        let tooShort = try await firstPage(of: source, at: page + 1)
        #expect(tooShort == nil, "the answer is a page long, the rest of the mapping is not")
    }

    @Test(.requiresKernelFaults) func `memory of the caller's is copied from where it lies, and not beyond`()
        async throws
    {
        let start = MemoryProbe.map(byteCount: 2 * page)
        defer { MemoryProbe.unmap(start, byteCount: 2 * page) }
        let bytes = HandlerTests.pattern(page + 8)
        #expect(MemoryProbe.writeThroughKernel(start, bytes))
        let source = unsafe PageSource(unsafeMemoryAt: AddressRange(start: start, byteCount: page + 8))
        let inside = try await firstPage(of: source, at: 8)
        #expect(inside == Array(bytes.suffix(page)))
        let beyond = try await firstPage(of: source, at: 9)
        #expect(beyond == nil, "no byte of memory that was not lent is shown")
    }

    @Test(.requiresKernelFaults) func `a file that shrank meanwhile fails its pages, not the process`()
        async throws
    {
        let file = TemporaryFile(HandlerTests.pattern(2 * page))
        let source = try PageSource(mappingFileAt: file.path)
        file.truncate()
        let shown = try await firstPage(of: source, at: page)
        #expect(shown == nil)
    }

    @Test func `sources that cannot be made say why`() {
        let missing = #expect(throws: SystemFailure.self) {
            try PageSource(mappingFileAt: "/nonexistent/faultline")
        }
        #expect(missing?.errno == .noEntry)
        let huge = #expect(throws: SystemFailure.self) { try PageSource(byteCount: 1 << 60) { _ in } }
        #expect(huge?.call == "mmap")
    }

    @Test func `an offset outside of the source is stopped`() async throws {
        for offset in [-1, 4096 * 4] {
            await #expect(processExitsWith: .failure) { [offset = offset as Int] in
                let source = try PageSource(copying: [1, 2, 3])
                _ = Resolution.copy(from: source, at: offset)
                TestProcess.exit(0)
            }
        }
    }
}
