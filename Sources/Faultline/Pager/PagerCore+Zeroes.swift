import Userfault

extension PagerCore {
    /// Hands `part` of a buffer to the scheduler, pages of zeroes as such. False, and nothing is done, where zero pages cannot take
    /// the place of copies.
    ///
    /// Only buffers are looked at: they are the pager's own memory. Reading from elsewhere may raise a signal, or wait.
    func enqueueZeroes(
        _ resolution: Resolution, covering whole: AddressRange, part: AddressRange, _ region: RegionState,
        failures: Int, cause: FaultCause
    ) -> Bool {
        guard case .copy = resolution.action, case .buffer(let storage) = resolution.owner,
            region.operations.contains(.zero), !region.needsCare, !resolution.isWriteProtected
        else { return false }
        let pages = region.pages(of: part)
        let first = region.pages(of: whole).lowerBound
        func isZero(_ page: Int) -> Bool {
            let start = (page - first) * region.pageSize
            return storage.mapping.withBytes(start..<start + region.pageSize) { $0.isZero }
        }
        var start = pages.lowerBound
        while start < pages.upperBound {
            let isEmpty = isZero(start)
            var end = start + 1
            while end < pages.upperBound, isZero(end) == isEmpty { end += 1 }
            enqueue(
                isEmpty ? .zero : resolution, covering: whole, part: region.range(of: start..<end),
                region: region, failures: failures, demand: cause.demand)
            start = end
        }
        return true
    }

    /// Huge pages cannot be had as zero pages, nor protected ones: zeroes are copied to them.
    func copyZeroes(
        _ range: AddressRange, of region: RegionState, isProtected: Bool, failures: Int, demand: Range<Int>
    ) {
        do {
            for piece in try zeroPieces(
                range, of: region, isProtected: isProtected, failures: failures, demand: demand)
            {
                scheduler.add(piece)
            }
            scheduleCommit()
        } catch {
            let cause = FaultCause(kind: .missing, isWrite: false, demand: demand)
            fail(region.pages(of: range), of: region, error: error, cause: cause, failures: failures + 1)
        }
    }

    /// What makes `range` zero, whatever the kernel offers for it.
    func zeroPieces(
        _ range: AddressRange, of region: RegionState, isProtected: Bool = false, failures: Int,
        demand: Range<Int>
    ) throws(SystemFailure) -> [Scheduler<Tag>.Piece] {
        let tag = Tag(region: region, owner: .none, failures: failures, demand: demand, giveUp: false)
        if region.operations.contains(.zero) {
            return [
                Scheduler.Piece(
                    range: range, action: .zero, pageSize: region.pageSize, isAhead: demand.isEmpty, tag: tag)
            ]
        }
        let zeroes = try zeroes(of: region)
        return region.pages(of: range).map { page in
            Scheduler.Piece(
                range: region.range(of: page..<page + 1),
                action: isProtected
                    ? .copyProtected(source: zeroes.address) : .copy(source: zeroes.address),
                pageSize: region.pageSize, isAhead: demand.isEmpty, tag: tag)
        }
    }
}
