/// One run: memory is watched, pages of it are written and found, twice.
struct DirtyRun {
    /// Which pages are written.
    enum Extent: String, CaseIterable {
        case all
        case eighth = "1/8"
    }

    /// What one pass took, nanoseconds.
    struct Times {
        var write: UInt64
        /// Nil from who does not watch.
        var collect: UInt64?
    }

    var source: Contents
    var seed: UInt64
    var placement: Placement
    var round: Int

    /// Measures `variant`, and verifies every byte and the pages that it found.
    func measure(_ variant: any DirtyVariant) async throws -> [Extent: Times] {
        let watched = try await variant.start(DirtyWork(source: source, cpu: placement.serving))
        // What the memory must hold: the same, with the same writes.
        let expected = try ChangingContents(pages: source.pageCount, seed: seed)
        var times: [Extent: Times] = [:]
        for (pass, extent) in Extent.allCases.enumerated() {
            let pages = self.pages(extent)
            let value = UInt64(round * 2 + pass + 1)
            let write = try PageWriter.write(value, to: pages, at: watched.base, cpu: placement.faulting)
            PageWriter.write(value, to: pages, of: expected)
            let found = try await watched.collect()
            try expected.requireEqual(at: watched.base, variant: variant.name)
            if let found { try require(found, toBe: pages, variant.name) }
            times[extent] = Times(write: write, collect: found?.time)
        }
        // Nothing was written since, and looking is no writing.
        if let rest = try await watched.collect() { try require(rest, toBe: [], variant.name) }
        let counters = try await watched.stop()
        guard counters.failures == 0 else {
            throw RunError.failed("\(variant.name) failed to let \(counters.failures) writes through.")
        }
        return times
    }

    /// The pages to write, ascending.
    private func pages(_ extent: Extent) -> [UInt32] {
        let all = 0..<UInt32(source.pageCount)
        switch extent {
        case .all: return Array(all)
        case .eighth:
            var random = SplitMix(state: seed &+ UInt64(round))
            return all.filter { _ in random.next().isMultiple(of: 8) }
        }
    }

    private func require(_ found: DirtySet, toBe pages: [UInt32], _ variant: String) throws(RunError) {
        var wanted = DirtySet(pages: source.pageCount)
        for page in pages { wanted.insert(Int(page)) }
        guard let page = found.firstDifference(from: wanted) else { return }
        throw .mismatch(
            "\(variant) is wrong about page \(page): it was written, or not, and found otherwise.")
    }
}

/// Random numbers that are the same each time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var x = state
        x = (x ^ (x >> 30)) &* 0xbf58_476d_1ce4_e5b9
        x = (x ^ (x >> 27)) &* 0x94d0_49bb_1331_11eb
        return x ^ (x >> 31)
    }
}
