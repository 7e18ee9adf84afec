import Userfault

extension PagerCore {
    /// From this many pages on, a run of missing pages is replaced by memory that raises SIGBUS; poisoning it page by
    /// page would fill page tables.
    private static let sealThreshold = 4096
    /// Each replaced run costs an entry of the process's memory map, of which there are some 65,000.
    private static let sealLimit = 256

    /// Makes every page of `region` that was never supplied raise SIGBUS, and wakes everyone.
    func seal(_ region: RegionState) {
        var page = 0
        var mappings = 0
        while !memoryIsGone, page < region.table.pageCount, let run = region.table.nextAbsentRun(from: page) {
            page = run.upperBound
            let range = region.range(of: run)
            if region.ownsMemory, run.count >= Self.sealThreshold, mappings < Self.sealLimit {
                do {
                    try region.mapping.seal(range)
                    mappings += 1
                    continue
                } catch {
                    report(PagerError(error))
                }
            }
            poison(range, of: region)
        }
        if !memoryIsGone { wake(region.range) }
    }

    /// Poisons every page of `range` that is not there, whoever else installs pages meanwhile.
    private func poison(_ range: AddressRange, of region: RegionState) {
        guard let kernel else { return }
        var start = range.start
        var patience = 2000
        while start < range.end {
            let rest = AddressRange(start: start, byteCount: Int(range.end - start))
            statistics.poisons += 1
            switch kernel.poison(rest, wake: false) {
            case .whole:
                return
            case .partial(let bytesDone) where bytesDone > 0:
                start += UInt(bytesDone)
            case .exists:
                start += UInt(region.pageSize)
            case .partial, .again:
                // An event is unread or its thread has not run yet. This is the end: there is no later turn to come
                // back in, so give way for a moment, a bounded number of times.
                patience -= 1
                if patience == 0 { return sealInstead(rest, of: region) }
                _ = try? kernel.read(into: batch)
                SystemPause.brief()
            case .gone(let what):
                memoryIsGone = what == .process
                return
            case .failed:
                return sealInstead(rest, of: region)
            }
        }
    }

    /// Kernels without `UFFDIO_POISON`. Pages of `range` that were installed by others behind our back are lost.
    private func sealInstead(_ range: AddressRange, of region: RegionState) {
        guard region.ownsMemory else {
            return report(
                PagerError(
                    .kernel, "pages that were never supplied cannot be poisoned and may read as zero",
                    range: range))
        }
        do { try region.mapping.seal(range) } catch { report(PagerError(error)) }
    }
}
