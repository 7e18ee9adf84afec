internal import EventReactor

extension CachedStore {
    /// What becomes of the parts of a read. Every slot named here is pinned.
    private struct Plan {
        var hits: [(slot: Int, part: StoreRead)] = []
        var waits: [(slot: Int, part: StoreRead, work: JoinedWork)] = []
        var direct: [StoreRead] = []
        /// What this call has to read, and in whose name.
        var fills: [(block: Int, slot: Int)] = []
        /// The reading of them, once there are any.
        var work: JoinedWork?
    }

    /// Copies what is in the cache, and reads the rest in whole blocks.
    ///
    /// - Throws: what the store behind throws.
    public func read(_ pieces: [StoreRead]) async throws {
        var rest = pieces
        repeat { rest = try await readOnce(rest) } while !rest.isEmpty
    }

    /// Returns what is to be tried again: parts that waited for a read which was cancelled for the sake of others.
    private func readOnce(_ pieces: [StoreRead]) async throws -> [StoreRead] {
        let plan = table.withLock { makePlan(pieces, &$0) }
        if let work = plan.work {
            work.start(on: workers) { [fills = plan.fills] in try await self.fill(fills) }
        }
        defer {
            table.withLock { table in
                for hit in plan.hits { table.unpin(hit.slot) }
                for wait in plan.waits { table.unpin(wait.slot) }
            }
        }
        for hit in plan.hits { copy(from: hit.slot, to: hit.part) }
        if !plan.direct.isEmpty { try await store.read(plan.direct) }
        var rest: [StoreRead] = []
        for wait in plan.waits {
            switch try await wait.work.wait() {
            case .done: copy(from: wait.slot, to: wait.part)
            case .abandoned: rest.append(wait.part)
            }
        }
        return rest
    }

    private func makePlan(_ pieces: [StoreRead], _ table: inout CacheTable) -> Plan {
        var plan = Plan()
        for piece in pieces {
            for (block, bytes) in parts(of: piece.range) {
                let part = piece.part(bytes.lowerBound - piece.offset..<bytes.upperBound - piece.offset)
                guard block * blockByteCount < byteCount else {
                    plan.direct.append(part)
                    continue
                }
                switch table.standing(block) {
                case .ready(let slot):
                    table.pin(slot)
                    table.statistics.hits += 1
                    plan.hits.append((slot, part))
                case .filling(let slot, let work):
                    table.pin(slot)
                    // Not if it is this call's: a read may have several pieces of one block.
                    if work !== plan.work { table.statistics.joins += 1 }
                    plan.waits.append((slot, part, work))
                case .changing:
                    table.statistics.bypasses += 1
                    plan.direct.append(part)
                case .absent:
                    guard let slot = table.reserve(block) else {
                        table.statistics.bypasses += 1
                        plan.direct.append(part)
                        continue
                    }
                    table.statistics.misses += 1
                    let work = plan.work ?? JoinedWork()
                    plan.work = work
                    table.beginFill(of: block, work)
                    table.pin(slot)
                    plan.fills.append((block, slot))
                    plan.waits.append((slot, part, work))
                }
            }
        }
        return plan
    }

    private func fill(_ blocks: [(block: Int, slot: Int)]) async throws {
        do {
            try await store.read(
                blocks.map { block, slot in
                    StoreRead(
                        from: block * blockByteCount, into: memory,
                        slot * blockByteCount..<(slot + 1) * blockByteCount)
                })
        } catch {
            end(blocks, succeeded: false)
            throw error
        }
        end(blocks, succeeded: true)
    }

    private func end(_ blocks: [(block: Int, slot: Int)], succeeded: Bool) {
        table.withLock { table in
            for (block, slot) in blocks { table.endFill(of: block, in: slot, succeeded: succeeded) }
        }
    }

    private func copy(from slot: Int, to part: StoreRead) {
        part.copy(memory.mapping, from: position(of: part.offset, in: slot))
    }
}
