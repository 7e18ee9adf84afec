import Faultline
import Testing
import Userfault

extension StoreConformanceRun {
    func concurrency(_ store: any PageStore) async throws {
        let (seed, page) = (self.seed, self.page)
        // Each task has every fifth page to itself; all begin and end in the middle of the others.
        let failures = try await withThrowingTaskGroup(of: Int?.self) { group in
            for task in 0..<5 {
                group.addTask {
                    var random = TestRandom(seed, stream: UInt64(task))
                    var model: [Int: [UInt8]] = [:]
                    for _ in 0..<60 {
                        let number = random.below(8) * 5 + task
                        if random.chance(50) {
                            let contents = self.bytes(page, &random)
                            try await self.write(store, contents, at: number * page)
                            model[number] = contents
                        } else {
                            let contents = try await self.read(store, number * page..<(number + 1) * page)
                            let expected = model[number] ?? [UInt8](repeating: 0, count: page)
                            if contents != expected { return number }
                        }
                        if random.chance(5) { try await store.flush() }
                    }
                    return nil
                }
            }
            return try await group.reduce(into: [Int]()) { $0 += $1.map { [$0] } ?? [] }
        }
        #expect(failures == [], "pages with wrong bytes; \(seed)", sourceLocation: location)
    }

    func trim(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        var model = bytes(byteCount, &random)
        try await write(store, model, at: 0)
        let ranges = [
            page..<4 * page, 5 * page + 9..<5 * page + 90, 7 * page - 5..<9 * page + 5, 40 * page..<byteCount,
        ]
        try await store.trim(ranges)
        for range in ranges {
            model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
        }
        try await expect(store, model, "\(seed)")
        await #expect(throws: (any Error).self, sourceLocation: location) {
            try await store.trim([byteCount - 1..<byteCount + 1])
        }
        try await expect(store, model, "a trim beyond the end leaves the store as it was")
    }

    func random(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        var model = [UInt8](repeating: 0, count: byteCount)
        for step in 0..<100 {
            var range = random.range(within: byteCount)
            // Pages more often than anything else.
            if random.chance(60) {
                range = range.lowerBound / page * page..<(range.upperBound + page - 1) / page * page
            }
            range = range.clamped(to: 0..<byteCount)
            guard !range.isEmpty else { continue }
            switch random.below(10) {
            case 0..<4:
                let contents =
                    random.chance(30)
                    ? [UInt8](repeating: 0, count: range.count) : bytes(range.count, &random)
                try await write(store, contents, at: range.lowerBound)
                model.replaceSubrange(range, with: contents)
            case 4:
                try await store.trim([range])
                model.replaceSubrange(range, with: [UInt8](repeating: 0, count: range.count))
            case 5:
                try await store.flush()
            default:
                #expect(
                    try await read(store, range) == Array(model[range]), "step \(step), \(range); \(seed)",
                    sourceLocation: location)
            }
        }
        try await expect(store, model, "\(seed)")
    }

    func durability(
        _ store: any PageStore, _ reopenStore: (any PageStore) async throws -> any PageStore
    ) async throws {
        var random = TestRandom(seed)
        let model = bytes(byteCount, &random)
        try await write(store, model, at: 0)
        try await store.flush()
        try await expect(try await reopenStore(store), model, "\(seed)")
    }

    func cancellation(_ store: any PageStore) async throws {
        var random = TestRandom(seed)
        let old = bytes(byteCount, &random)
        let new = bytes(byteCount, &random)
        try await write(store, old, at: 0)
        for round in 0..<20 {
            let writer = Task {
                try await write(store, new, at: 0)
            }
            let reader = Task { try await read(store, 0..<page) }
            if round % 2 == 0 { await Task.yield() }
            writer.cancel()
            reader.cancel()
            _ = await writer.result
            _ = await reader.result
        }
        // Whatever was done: each page is the old or the new one, and the store works.
        let bytes = try await read(store, 0..<byteCount)
        for start in stride(from: 0, to: byteCount, by: page) {
            let range = start..<min(start + page, byteCount)
            #expect(
                bytes[range] == old[range] || bytes[range] == new[range], "page at \(start); \(seed)",
                sourceLocation: location)
        }
        try await write(store, old, at: 0)
        try await expect(store, old, "\(seed)")
    }
}
