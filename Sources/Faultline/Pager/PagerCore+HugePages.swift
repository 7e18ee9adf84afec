import Userfault

extension PagerCore {
    /// Hands `part` of an answer to the scheduler, and of it the whole pieces `pieces` as huge pages. False, and nothing is done,
    /// where its bytes cannot be moved.
    ///
    /// Only memory of our own is read here. Reading from elsewhere may raise a signal, where the kernel's copy is refused.
    func enqueueHugePages(
        _ pieces: Range<Int>, _ resolution: Resolution, covering whole: AddressRange, part: AddressRange,
        isProtected: Bool, region: RegionState, failures: Int, demand: Range<Int>
    ) -> Bool {
        guard case .copy(let base, _) = resolution.action, !isProtected, !resolution.isWriteProtected,
            !region.needsCare
        else { return false }
        let mapping: Mapping
        switch resolution.owner {
        case .buffer(let storage): mapping = storage.mapping
        case .source(let source) where source.mapping.isAnonymous: mapping = source.mapping
        case .source, .none: return false
        }
        let pages = region.pages(of: part)
        let offset = Int(base - mapping.address) + Int(part.start - whole.start)
        enqueueRest(pages.lowerBound..<pieces.lowerBound)
        for first in stride(from: pieces.lowerBound, to: pieces.upperBound, by: HugePageGrid.pages) {
            let piece = first..<first + HugePageGrid.pages
            let start = offset + (first - pages.lowerBound) * region.pageSize
            guard region.hugePages?.tries() ?? false,
                let (source, owner) = hugePage(
                    resolution.owner, mapping, start..<start + HugePage.size, pool: region.pool)
            else {
                enqueueRest(piece)
                continue
            }
            hold(owner)
            enqueue(
                .move(source: source), region.range(of: piece), of: region, owner: owner, failures: failures,
                demand: demand)
            letGo(owner, of: region)
        }
        enqueueRest(pieces.upperBound..<pages.upperBound)
        return true

        func enqueueRest(_ rest: Range<Int>) {
            guard !rest.isEmpty else { return }
            enqueue(
                .copy(source: base + (region.range(of: rest).start - whole.start)), region.range(of: rest),
                of: region, owner: resolution.owner, failures: failures, demand: demand)
        }
    }

    /// Pages have been moved to `range`: what was put together in a huge page should be one there.
    func noteHugePages(in range: AddressRange, of region: RegionState) {
        guard let pieces = region.hugePages?.grid.pieces(in: region.pages(of: range)) else { return }
        for first in stride(from: pieces.lowerBound, to: pieces.upperBound, by: HugePageGrid.pages) {
            let isHuge = hugePageProbe.isHuge(region.range(of: first..<first + HugePageGrid.pages))
            if isHuge { statistics.hugeFills += 1 }
            region.hugePages?.note(isHuge: isHuge)
        }
    }

    /// The bytes `offsets` of `mapping` as a huge page, and what it lies in: a buffer as it is, where it has the right place, or a
    /// copy. Nil where there is no memory for that.
    private func hugePage(
        _ owner: Resolution.Owner, _ mapping: Mapping, _ offsets: Range<Int>, pool: PageBufferPool
    ) -> (source: UInt, owner: Resolution.Owner)? {
        let start = mapping.address + UInt(offsets.lowerBound)
        if case .buffer = owner, start & UInt(HugePage.size - 1) == 0 { return (start, owner) }
        guard var buffer = try? pool.take(HugePage.size) else { return nil }
        buffer.copy(mapping, offsets)
        let storage = buffer.take()
        return (storage.mapping.address, .buffer(storage))
    }
}
