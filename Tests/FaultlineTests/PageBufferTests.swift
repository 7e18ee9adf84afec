import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Buffers, and the pool they come from and go back to.
@Suite(.timeLimit(.minutes(5)))
struct PageBufferTests {
    let page = SystemPage.size
    let pool = PageBufferPool(pageSize: SystemPage.size)

    /// Leaves a buffer full of old bytes in the pool.
    private func spoil(pages: Int) throws {
        var buffer = try pool.take(pages * page)
        buffer.write([UInt8](repeating: 0xFF, count: pages * page))
    }

    private func contents(_ buffer: inout PageBuffer) -> [UInt8] {
        buffer.withMutableBytes { bytes in
            (0..<bytes.byteCount).map { unsafe bytes.bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
    }

    @Test func `a buffer that is dropped goes back to the pool, and is the next one taken`() throws {
        #expect(pool.retainedByteCount == 0)
        do {
            let buffer = try pool.take(page)
            #expect(buffer.byteCount == page)
            #expect(pool.retainedByteCount == 0)
        }
        #expect(pool.retainedByteCount == page)
        do {
            let buffer = try pool.take(page)
            #expect(buffer.byteCount == page)
            #expect(pool.retainedByteCount == 0)
        }
        #expect(pool.retainedByteCount == page)
    }

    @Test func `buffers come in powers of two of a page, and are as long as was asked`() throws {
        for pages in [1, 2, 3, 4, 5, 8, 9, 100] {
            let pool = PageBufferPool(pageSize: page)
            do {
                var buffer = try pool.take(pages * page)
                #expect(buffer.byteCount == pages * page)
                #expect(contents(&buffer).allSatisfy { $0 == 0 })
            }
            var power = 1
            while power < pages { power *= 2 }
            #expect(pool.retainedByteCount == power * page)
        }
    }

    @Test func `the pool keeps no more than its limit`() throws {
        let pool = PageBufferPool(pageSize: page, retainedByteLimit: 3 * page)
        func hold(_ count: Int) throws {
            guard count > 0 else { return }
            let buffer = try pool.take(page)
            try hold(count - 1)
            #expect(buffer.byteCount == page)
        }
        try hold(10)
        #expect(pool.retainedByteCount == 3 * page)
    }

    @Test func `what is not written after a reuse is zero, whichever way the rest was`() throws {
        try spoil(pages: 2)
        do {
            var buffer = try pool.take(2 * page)
            buffer.fill { span in
                for _ in 0..<10 { span.append(7) }
            }
            #expect(
                contents(&buffer) == [UInt8](repeating: 7, count: 10)
                    + [UInt8](repeating: 0, count: 2 * page - 10))
        }
        try spoil(pages: 2)
        do {
            var buffer = try pool.take(2 * page)
            buffer.store(UInt16(0x0101), toByteOffset: page + 1)
            #expect(
                contents(&buffer).enumerated().allSatisfy {
                    $1 == ([page + 1, page + 2].contains($0) ? 1 : 0)
                })
        }
        try spoil(pages: 2)
        do {
            var buffer = try pool.take(2 * page)
            buffer.write([9, 9], at: 2 * page - 2)
            #expect(contents(&buffer) == [UInt8](repeating: 0, count: 2 * page - 2) + [9, 9])
        }
        try spoil(pages: 2)
        do {
            // A shorter buffer of the same class: the bytes behind its end are nobody's business.
            var buffer = try pool.take(2 * page)
            buffer.withMutableBytes { bytes in
                #expect(bytes.byteCount == 2 * page)
                bytes.storeBytes(of: 5, toByteOffset: 3, as: UInt8.self)
            }
            #expect(contents(&buffer).enumerated().allSatisfy { $1 == ($0 == 3 ? 5 : 0) })
        }
    }

    @Test func `filling stops at an error, which comes through, and shows no old bytes`() throws {
        try spoil(pages: 1)
        var buffer = try pool.take(page)
        #expect(throws: StoreIsDown.self) {
            try buffer.fill { span throws(StoreIsDown) in
                span.append(1)
                throw StoreIsDown()
            }
        }
        #expect(contents(&buffer).dropFirst().allSatisfy { $0 == 0 })
    }

    @Test(.requiresUserfaultfd)
    func `an answer in a buffer that was used before shows nothing of the earlier one`()
        async throws
    {
        try await withPager { pager in
            let handler = ClosureHandler { request in
                var buffer = try request.makeBuffer()
                switch request.offset / request.pageSize {
                case 0: buffer.write([UInt8](repeating: 0xEE, count: request.byteCount))
                case 1: break
                case 2: buffer.store(UInt8(1), toByteOffset: 100)
                default: buffer.fill { $0.append(2) }
                }
                return .copy(buffer)
            }
            let region = try await pager.map(byteCount: 4 * page, handler: handler)
            let thread = FaultingThread {
                (0..<4).map { region.readBytes($0 * region.pageSize..<($0 + 1) * region.pageSize) }
            }
            let pages = await thread.value
            #expect(pages[0].allSatisfy { $0 == 0xEE })
            #expect(pages[1].allSatisfy { $0 == 0 })
            #expect(pages[2].enumerated().allSatisfy { $1 == ($0 == 100 ? 1 : 0) })
            #expect(pages[3].enumerated().allSatisfy { $1 == ($0 == 0 ? 2 : 0) })
        }
    }

    @Test(arguments: 0..<6) func `bytes outside of a buffer are not to be had`(misuse: Int) async throws {
        let result = await #expect(processExitsWith: .failure) { [misuse = misuse as Int] in
            let page = SystemPage.size
            var buffer = try PageBufferPool(pageSize: page).take(3 * page)
            switch misuse {
            case 0: buffer.store(UInt64(1), toByteOffset: 3 * page - 7)
            case 1: buffer.store(UInt8(1), toByteOffset: -1)
            case 2: buffer.write([1, 2], at: 3 * page - 1)
            case 3: buffer.write([], at: 3 * page + 1)
            // Within the memory behind the buffer, but not within the buffer.
            case 4: buffer.fill { for _ in 0...3 * page { $0.append(1) } }
            default:
                buffer.withMutableBytes { $0.storeBytes(of: 1, toByteOffset: 3 * page, as: UInt8.self) }
            }
            TestProcess.exit(0)
        }
        guard case .signal = result?.exitStatus else {
            Issue.record("stopped by a trap, not by \(String(describing: result?.exitStatus))")
            return
        }
    }
}
