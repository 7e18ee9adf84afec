import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

/// Clones: what was written in front of a base that stays as it is.
@Suite(.timeLimit(.minutes(5)))
struct OverlayStoreTests {
    let page = SystemPage.size

    /// What the overlay of a conformance run is made of.
    enum Choice: String, CaseIterable, CustomTestStringConvertible {
        /// A base of zeroes that ends in the middle, and tops in memory.
        case shortBase
        /// A base full of other bytes, all of them trimmed.
        case trimmedBase
        /// A clone of a clone.
        case nested
        var testDescription: String { rawValue }
    }

    @Test(arguments: Choice.allCases, StoreConformance.Case.allCases)
    func `an overlay keeps the promises of a store`(
        _ choice: Choice, _ one: StoreConformance.Case
    ) async throws {
        try await StoreConformance { byteCount in
            let top = try MemoryStore(byteCount: byteCount)
            switch choice {
            case .shortBase:
                return try OverlayStore(over: MemoryStore(byteCount: byteCount / 2 + 1), in: top)
            case .trimmedBase:
                let base = try MemoryStore(copying: [UInt8](repeating: 0xAB, count: byteCount))
                let store = try OverlayStore(over: base, in: top)
                try await store.trim([0..<byteCount])
                return store
            case .nested:
                let inner = try OverlayStore(
                    over: MemoryStore(byteCount: byteCount), in: MemoryStore(byteCount: byteCount))
                return try OverlayStore(over: inner, in: top)
            }
        }.run(one)
    }

    @Test(arguments: [false, true], StoreConformance.Case.allCases)
    func `an overlay in a file keeps the promises of a store`(
        isSparse: Bool, _ one: StoreConformance.Case
    ) async throws {
        let file = TemporaryFile([])
        let written = Lock<[Range<Int>]>([])
        try await StoreConformance(
            reopenStore: { store in
                let overlay = try #require(store as? OverlayStore)
                written.withLock { $0 = overlay.writtenRanges }
                let top = try FileStore(path: file.path, options: FileStore.Options(isSparse: isSparse))
                return try OverlayStore(
                    over: MemoryStore(byteCount: overlay.byteCount), in: top, written: overlay.writtenRanges)
            }
        ) { byteCount in
            let top = try FileStore(
                path: file.path, options: FileStore.Options(byteCount: byteCount, isSparse: isSparse))
            return try OverlayStore(over: MemoryStore(byteCount: byteCount), in: top)
        }.run(one)
        if one == .durability {
            let ranges = written.withLock { $0 }
            #expect(ranges.count == 1 && ranges.first?.lowerBound == 0, "all was written")
        }
    }

    @Test func `clones do not see each other's writes, and the base stays as it is`() async throws {
        let pages = 24
        let original = HandlerTests.pattern(pages * page)
        let file = TemporaryFile(original)
        let base = try FileStore(path: file.path, options: FileStore.Options(access: .readOnly))
        try await withThrowingTaskGroup(of: [String].self) { group in
            for number in 0..<3 {
                group.addTask {
                    let clone = try OverlayStore(over: base, in: MemoryStore(byteCount: pages * page))
                    let sharers = PageSharers(pages: pages, steps: 100 + number)
                    var (failures, model) = try await sharers.run(on: clone, holding: original)
                    if try await clone.storedBytes(0..<pages * page) != model {
                        failures.append("clone \(number) in the end; \(sharers.seed)")
                    }
                    return failures
                }
            }
            for try await failures in group { #expect(failures == []) }
        }
        let isUnchanged = file.bytes == original
        #expect(isUnchanged)
    }

    @Test func `a page comes from the top once it was written, and from the base until then`() async throws {
        let base = try MemoryStore(copying: [UInt8](repeating: 1, count: 6 * page))
        let top = try MemoryStore(copying: [UInt8](repeating: 9, count: 8 * page))
        let store = try OverlayStore(over: base, in: top)
        #expect(store.byteCount == 8 * page && store.writesFromRegions)
        #expect(store.writtenRanges == [])
        try await store.writeBytes([UInt8](repeating: 2, count: 2 * page), at: page)
        try await store.writeBytes([3], at: 4 * page + 5)
        try await store.trim([5 * page..<6 * page])
        #expect(store.writtenRanges == [page..<3 * page, 4 * page..<6 * page])
        var expected = [UInt8](repeating: 1, count: 6 * page) + [UInt8](repeating: 0, count: 2 * page)
        expected.replaceSubrange(page..<3 * page, with: [UInt8](repeating: 2, count: 2 * page))
        expected[4 * page + 5] = 3
        expected.replaceSubrange(5 * page..<6 * page, with: [UInt8](repeating: 0, count: page))
        let isRight = try await store.storedBytes(0..<8 * page) == expected
        #expect(isRight)
        let mixed = try store.readNow(0..<2 * page)
        #expect(mixed == nil, "half here, half there")
        #expect(try store.readNow(page..<3 * page)?.bytes(2 * page) == Array(expected[page..<3 * page]))
        #expect(try store.readNow(3 * page..<4 * page)?.bytes(page) == Array(expected[3 * page..<4 * page]))
        #expect(try store.readNow(9 * page..<10 * page)?.isZero == true)
        #expect(base.readBytes(0..<6 * page) == [UInt8](repeating: 1, count: 6 * page))
    }

    @Test func `writers of parts of one page wait for one copy of it`() async throws {
        let gate = Gate()
        let base = FaultyStore(try MemoryStore(copying: [UInt8](repeating: 1, count: page))) { _ in
            await gate.wait()
            return .none
        }
        let store = try OverlayStore(over: base, in: MemoryStore(byteCount: page))
        let writers = (0..<4).map { number in
            Task { try await store.writeBytes([UInt8(10 + number)], at: number) }
        }
        await until { base.count(.read) == 1 }
        gate.open()
        for writer in writers { try await writer.value }
        #expect(try await store.storedBytes(0..<6) == [10, 11, 12, 13, 1, 1])
        #expect(base.count(.read) == 1)
    }

    @Test func `a copy whose writer has gone does not overwrite what comes after it`() async throws {
        let gate = Gate()
        let base = FaultyStore(try MemoryStore(copying: [UInt8](repeating: 1, count: page))) { _ in
            await gate.wait()
            return .none
        }
        let store = try OverlayStore(over: base, in: MemoryStore(byteCount: page))
        let partial = Task { try await store.writeBytes([5], at: 0) }
        await until { base.count(.read) == 1 }
        partial.cancel()
        await #expect(throws: StoreError.self) { try await partial.value }
        let whole = Task { try await store.writeBytes([UInt8](repeating: 7, count: page), at: 0) }
        let again = Task {
            try await whole.value
            try await store.writeBytes([8], at: 1)
        }
        gate.open()
        try await again.value
        #expect(try await store.storedBytes(0..<3) == [7, 8, 7])
        #expect(base.count(.read) == 1)
    }

    @Test func `what fails leaves the base's bytes, and can be tried again`() async throws {
        let base = FaultyStore(try MemoryStore(copying: [UInt8](repeating: 1, count: 2 * page))) { call in
            if call.number == 1 { throw StoreIsDown() }
            return .none
        }
        let top = FaultyStore(try MemoryStore(byteCount: 2 * page)) { call in
            call.operation == .write && call.number <= 2 ? .breakOff(afterByteCount: 9, StoreIsDown()) : .none
        }
        let store = try OverlayStore(over: base, in: top)
        await #expect(throws: StoreIsDown.self, "reading the base") { try await store.writeBytes([5], at: 3) }
        await #expect(throws: StoreIsDown.self, "copying") { try await store.writeBytes([5], at: 3) }
        await #expect(throws: StoreIsDown.self, "writing") {
            try await store.writeBytes([UInt8](repeating: 6, count: page), at: page)
        }
        #expect(store.writtenRanges == [])
        #expect(try await store.storedBytes(0..<2 * page) == [UInt8](repeating: 1, count: 2 * page))
        try await store.writeBytes([5], at: 3)
        #expect(try await store.storedBytes(0..<5) == [1, 1, 1, 5, 1])
    }

    @Test func `what does not fit is refused`() throws {
        let (short, long) = (try MemoryStore(byteCount: page), try MemoryStore(byteCount: 2 * page + 7))
        #expect(throws: StoreError.self) { _ = try OverlayStore(over: long, in: short) }
        for range in [1..<page, 0..<page + 1, -page..<page, 2 * page..<3 * page] {
            let error = #expect(throws: StoreError.self) {
                _ = try OverlayStore(over: short, in: long, written: [range])
            }
            #expect(error?.code == .outOfRange && error?.range == range)
        }
        let written = [0..<page, 2 * page..<2 * page + 7]
        #expect(try OverlayStore(over: short, in: long, written: written).writtenRanges == written)
    }

    @Test(.requiresUserfaultfd([.writeProtectFaults]))
    func `regions over clones of one image are written independently`() async throws {
        let original = PagedPages.numbered(64)
        let file = TemporaryFile(original)
        let image = try FileStore(path: file.path, options: FileStore.Options(access: .readOnly))
        let clones = try (0..<2).map { _ in
            try OverlayStore(over: image, in: MemoryStore(byteCount: image.byteCount))
        }
        try await withPager { pager in
            for (number, clone) in clones.enumerated() {
                let region = try await pager.map(store: clone)
                let thread = FaultingThread {
                    (0..<64).allSatisfy { index in
                        let offset = index * region.pageSize
                        guard region.load(fromByteOffset: offset, as: UInt64.self) == UInt64(index) else {
                            return false
                        }
                        if index % 3 == number {
                            region.store(UInt64(1000 + index), toByteOffset: offset)
                        }
                        return true
                    }
                }
                #expect(await thread.value)
                try await region.flush()
            }
        }
        for (number, clone) in clones.enumerated() {
            let bytes = try await clone.storedBytes(0..<64 * page)
            for index in 0..<64 {
                let expected = UInt64(index % 3 == number ? 1000 + index : index)
                #expect(PagedPages.word(bytes, at: index * page) == expected)
            }
            #expect(clone.writtenRanges.count == (number == 0 ? 22 : 21), "only what was written")
        }
        let isUnchanged = file.bytes == original
        #expect(isUnchanged)
    }
}

extension StoredBytes {
    /// The first bytes, nil when they are known to be zero.
    func bytes(_ count: Int) -> [UInt8]? {
        guard case .bytes(let source, let offset) = self else { return nil }
        return source.withBytes(offset..<offset + count) { span in
            (0..<count).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        }
    }
}
