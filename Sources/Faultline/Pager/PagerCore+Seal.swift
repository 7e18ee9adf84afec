import Userfault

extension PagerCore {
    /// From this many pages on, a run of missing pages is replaced by memory that raises SIGBUS; poisoning it page by
    /// page would fill page tables.
    private static let sealThreshold = 4096
    /// Each replaced run costs an entry of the process's memory map, of which there are some 65,000.
    private static let sealLimit = 256

    /// Makes every page of `piece` that was never supplied raise SIGBUS, and wakes everyone.
    func seal(_ piece: AddressRange, of region: RegionState) {
        // Its process has never registered it, so that nobody has waited there.
        if region.isRegisteredByPeer, isUnregistered(piece, of: region) { return wake(piece) }
        // Without one of these no page comes from a handler, and what looks absent in the table is the application's.
        guard !region.options.modes.isDisjoint(with: [.missing, .minor]) else {
            if !memoryIsGone { wake(piece) }
            return
        }
        // Marks of protection cannot be poisoned.
        if region.isMarked, let kernel { _ = kernel.unprotect(piece, wake: false) }
        let pages = region.pages(of: piece)
        var page = pages.lowerBound
        var mappings = 0
        while !memoryIsGone, let run = region.table.nextUnsuppliedRun(from: page, below: pages.upperBound) {
            page = run.upperBound
            let range = region.range(of: run)
            if run.count >= Self.sealThreshold, mappings < Self.sealLimit, mayReplace(range, of: region) {
                do {
                    try replace(range, of: region)
                    mappings += 1
                    continue
                } catch {
                    report(PagerError(error))
                }
            }
            poison(range, of: region)
        }
        if !memoryIsGone { wake(piece) }
    }

    private func isUnregistered(_ piece: AddressRange, of region: RegionState) -> Bool {
        let page = region.pageSize
        return [piece.start, piece.end - UInt(page)].allSatisfy {
            kernel?.probe(AddressRange(start: $0, byteCount: page)) == .absent
        }
    }

    /// Poisons every page of `range` that is not there, whoever else installs pages meanwhile.
    private func poison(_ range: AddressRange, of region: RegionState) {
        guard let kernel else { return }
        var start = range.start
        // Within one mapping at a time: an mprotect(2) may have split it, and a part may not be there any more.
        var length = range.byteCount
        var patience = 2000
        var refusals = 10_000
        while start < range.end {
            length = min(length, Int(range.end - start))
            statistics.poisons += 1
            switch kernel.poison(AddressRange(start: start, byteCount: length), wake: false) {
            case .whole:
                start += UInt(length)
                length *= 2
            case .partial(let bytesDone) where bytesDone > 0:
                start += UInt(bytesDone)
            case .exists:
                start += UInt(region.pageSize)
            case .partial, .again:
                // An event is unread or its thread has not run yet. This is the end: there is no later turn to come
                // back in, so give way for a moment, a bounded number of times.
                patience -= 1
                if patience == 0 { return sealInstead(range.from(start), of: region) }
                readEvents()
                SystemPause.brief()
            case .gone(.range) where length > region.pageSize:
                length = length / region.pageSize / 2 * region.pageSize
            case .gone(.range):
                refusals -= 1
                if refusals == 0 { return sealInstead(range.from(start), of: region) }
                start += UInt(region.pageSize)
                length *= 2
            case .gone(.process):
                memoryIsGone = true
                return
            case .failed:
                return sealInstead(range.from(start), of: region)
            }
        }
    }

    /// Kernels without `UFFDIO_POISON`. Pages of `range` that were installed by others behind our back are lost.
    private func sealInstead(_ range: AddressRange, of region: RegionState) {
        guard mayReplace(range, of: region) else {
            return report(
                PagerError(
                    .kernel, "pages that were never supplied cannot be poisoned and may read as zero",
                    range: range))
        }
        do { try replace(range, of: region) } catch { report(PagerError(error)) }
    }

    /// Whether `range` is ours to map something else there.
    func mayReplace(_ range: AddressRange, of region: RegionState) -> Bool {
        guard region.ownsMemory else { return false }
        guard hearsOfUnmapping, let kernel else { return true }
        // Replacing it is an event itself, for which this thread would wait; and where the application may have mapped
        // something else meanwhile, it had better be sure.
        guard kernel.isRelayed else { return false }
        for _ in 0..<200 {
            switch kernel.probe(range) {
            case .registered: return true
            case .absent, .processGone: return false
            case .unknown: SystemPause.brief()
            }
        }
        return false
    }

    func replace(_ range: AddressRange, of region: RegionState) throws(SystemFailure) {
        try region.mapping.seal(range)
        kernel?.noteSealed(range)
        if hearsOfUnmapping { debts.add(range, .sealed) }
    }

    /// Waits until no event is under way, as far as the time allows.
    ///
    /// A forked child keeps a copy of the descriptor, and then closing this one does not let go who waits for an event to be
    /// read. Nothing is registered any more, so that no new events come.
    func settleEvents(around page: AddressRange) {
        for _ in 0..<2000 {
            readEvents()
            guard let kernel, kernel.probe(page) == .unknown else { return }
            SystemPause.brief()
        }
    }
}

extension AddressRange {
    /// What of it lies at and after an address within it.
    fileprivate func from(_ address: UInt) -> AddressRange {
        AddressRange(start: address, byteCount: Int(end - address))
    }
}
