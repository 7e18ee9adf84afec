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
}
