internal import EventReactor

extension CachedStore {
    /// Writes to the store behind, then to blocks of the cache. Blocks whose write fails leave the cache.
    ///
    /// - Throws: ``StoreError`` when a piece reaches beyond the end of the store, and what the store behind throws.
    public func write(_ pieces: [StoreWrite]) async throws {
        let store = store
        try await change(pieces.map(\.range), { try await store.write(pieces) }) { index, bytes, position in
            let piece = pieces[index]
            piece.part(bytes.lowerBound - piece.offset..<bytes.upperBound - piece.offset)
                .copy(to: memory.mapping, at: position)
        }
    }

    /// Trims the store behind; what the cache has of it is zero from now on.
    ///
    /// - Throws: as for ``write(_:)``.
    public func trim(_ ranges: [Range<Int>]) async throws {
        let store = store
        try await change(ranges, { try await store.trim(ranges) }) { _, bytes, position in
            memory.mapping.zero(position..<position + bytes.count)
        }
    }

    /// Changes the store behind while the blocks in question are out of the cache, so that nothing old is read into it; then
    /// those that were there come back, changed.
    ///
    /// - Parameters:
    ///   - ranges: what is changed.
    ///   - body: changes the store behind.
    ///   - update: makes the same change to bytes of a range, given by its number, at a position of the cache's memory.
    private func change(
        _ ranges: [Range<Int>], _ body: () async throws -> Void,
        update: (_ index: Int, _ bytes: Range<Int>, _ position: Int) -> Void
    ) async throws {
        for range in ranges where range.lowerBound < 0 || range.upperBound > byteCount {
            throw StoreError.outOfRange(range, of: byteCount)
        }
        let parts = ranges.enumerated().flatMap { index, range in
            self.parts(of: range).map { (index: index, block: $0.block, bytes: $0.bytes) }
        }
        let blocks = Set(parts.map(\.block))
        let fills = table.withLock { table in blocks.compactMap { table.beginWriting($0) } }
        var old: [Int: Int] = [:]
        var new: [Int: Int] = [:]
        defer {
            table.withLock { table in
                for slot in old.values { table.unpin(slot) }
                for (block, slot) in new {
                    // Unless another call has begun to write the block meanwhile.
                    table.endFill(of: block, in: slot, succeeded: table.hasOneWriter(block))
                }
                for block in blocks { table.endWriting(block) }
            }
        }
        for fill in fills {
            // How it ended is the matter of those who wait for its bytes.
            do { _ = try await fill.wait() } catch { if Task.isCancelled { throw StoreError.cancelled() } }
        }
        old = table.withLock { table in
            blocks.reduce(into: [:]) { $0[$1] = table.takeForWriting($1) }
        }
        try await body()
        new = table.withLock { table in
            old.keys.reduce(into: [:]) { if table.hasOneWriter($1) { $0[$1] = table.reserve($1) } }
        }
        for (block, slot) in new {
            guard let before = old[block] else { continue }
            memory.mapping.copy(
                memory.mapping, before * blockByteCount..<(before + 1) * blockByteCount,
                to: slot * blockByteCount)
        }
        for part in parts {
            guard let slot = new[part.block] else { continue }
            update(part.index, part.bytes, position(of: part.bytes.lowerBound, in: slot))
        }
    }
}
