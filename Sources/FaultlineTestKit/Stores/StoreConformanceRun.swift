import Faultline
import Testing
import Userfault

/// The cases of ``StoreConformance``.
struct StoreConformanceRun {
    let seed: TestSeed
    let location: SourceLocation
    let page = SystemPage.size
    let byteCount = 40 * SystemPage.size + 123

    func read(_ store: any PageStore, _ range: Range<Int>) async throws -> [UInt8] {
        let memory = try PageMemory(byteCount: max(range.count, 1))
        // What is not filled shows.
        memory.write([UInt8](repeating: 0xEE, count: memory.byteCount), at: 0)
        try await store.read([StoreRead(from: range.lowerBound, into: memory, 0..<range.count)])
        return memory.readBytes(0..<range.count)
    }

    func write(_ store: any PageStore, _ bytes: [UInt8], at offset: Int) async throws {
        let memory = try PageMemory(byteCount: bytes.count)
        memory.write(bytes, at: 0)
        try await store.write([StoreWrite(memory, 0..<bytes.count, to: offset)])
    }

    func expect(_ store: any PageStore, _ model: [UInt8], _ comment: Comment) async throws {
        let bytes = try await read(store, 0..<model.count)
        // Not the arrays themselves: a failure would print them.
        let isRight = bytes == model
        #expect(isRight, comment, sourceLocation: location)
    }

    /// Bytes none of which is zero, and few of which are their neighbours'.
    func bytes(_ count: Int, _ random: inout TestRandom) -> [UInt8] {
        // A length that no page is a multiple of, so that pages differ.
        var words = random
        _ = random.next()
        let block = (0..<min(count, 331)).map { _ in UInt8(truncatingIfNeeded: words.next()) | 1 }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count { bytes += block.prefix(count - bytes.count) }
        return bytes
    }

    func zeroes(_ store: any PageStore) async throws {
        try await expect(store, [UInt8](repeating: 0, count: byteCount), "a new store is zero")
    }

    func contents(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        var model = bytes(byteCount, &random)
        try await write(store, model, at: 0)
        try await expect(store, model, "\(seed)")
        for (offset, count) in [(0, page), (page, 3 * page), (17, 5), (page - 3, 6), (byteCount - 7, 7)] {
            let part = bytes(count, &random)
            try await write(store, part, at: offset)
            model.replaceSubrange(offset..<offset + count, with: part)
            try await expect(store, model, "\(count) bytes at \(offset); \(seed)")
            #expect(
                try await read(store, offset..<offset + count) == part, "\(seed)", sourceLocation: location)
        }
    }

    func pieces(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        var model = [UInt8](repeating: 0, count: byteCount)
        let memory = try PageMemory(byteCount: byteCount)
        let contents = bytes(byteCount, &random)
        memory.write(contents, at: 0)
        // Every third page, backwards, from a place in memory that has nothing to do with that in the store.
        let pages = Array(stride(from: 0, to: 40, by: 3)).shuffled(using: &random)
        try await store.write(
            pages.enumerated().map { index, number in
                StoreWrite(memory, index * page..<(index + 1) * page, to: number * page)
            })
        for (index, number) in pages.enumerated() {
            model.replaceSubrange(
                number * page..<(number + 1) * page, with: contents[index * page..<(index + 1) * page])
        }
        try await expect(store, model, "\(seed)")
        let target = try PageMemory(byteCount: 40 * page)
        let order = Array(0..<40).shuffled(using: &random)
        try await store.read(
            order.enumerated().map { index, number in
                StoreRead(from: number * page, into: target, index * page..<(index + 1) * page)
            })
        for (index, number) in order.enumerated() {
            #expect(
                target.readBytes(index * page..<(index + 1) * page)
                    == Array(model[number * page..<(number + 1) * page]),
                "page \(number); \(seed)", sourceLocation: location)
        }
        try await store.read([])
        try await store.write([])
        try await store.trim([])
    }

    func end(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        let model = bytes(byteCount, &random)
        try await write(store, model, at: 0)
        let last = 40 * page
        let expected = Array(model[last...]) + [UInt8](repeating: 0, count: page - 123)
        #expect(try await read(store, last..<last + page) == expected, sourceLocation: location)
        #expect(
            try await read(store, last + 4 * page..<last + 6 * page)
                == [UInt8](repeating: 0, count: 2 * page),
            sourceLocation: location)
        for offset in [last, last + page, byteCount] {
            await #expect(throws: (any Error).self, sourceLocation: location) {
                try await write(store, [UInt8](repeating: 7, count: page), at: offset)
            }
        }
        try await expect(store, model, "a write beyond the end leaves the store as it was")
    }

    func readNow(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        var model = bytes(byteCount, &random)
        model.replaceSubrange(8 * page..<16 * page, with: [UInt8](repeating: 0, count: 8 * page))
        try await write(store, model, at: 0)
        for _ in 0..<200 {
            let first = random.below(44) * page
            let range = first..<first + (1 + random.below(4)) * page
            let known = Array(model[min(first, byteCount)..<min(range.upperBound, byteCount)])
            let expected = known + [UInt8](repeating: 0, count: range.count - known.count)
            switch try store.readNow(range) {
            case nil: continue
            case .zero:
                #expect(expected.allSatisfy { $0 == 0 }, "\(range); \(seed)", sourceLocation: location)
            case .bytes(let source, let offset):
                let start = source.range.start + UInt(offset)
                #expect(
                    ThreadCalls.bytes(at: start, count: range.count) == expected, "\(range); \(seed)",
                    sourceLocation: location)
            }
        }
    }
}
