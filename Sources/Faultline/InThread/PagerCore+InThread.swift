import Userfault

// Resolution by the faulting threads themselves. All of these do nothing in a pager that resolves on the reactor.
extension PagerCore {
    /// Begins to catch the faults of a region that is about to be registered.
    func catchFaults(of region: RegionState) throws(PagerError) {
        guard let inThread else { return }
        guard !region.options.modes.contains(.writeProtect) else {
            throw PagerError(
                .unsupportedOperation,
                "writes to protected pages need a pager that resolves on the reactor (ResolutionMode)",
                range: region.range)
        }
        if let bytes = inThreadPlan(for: region).map(\.source), !bytes.isEmpty,
            let overlap = registered.index.firstOverlap(bytes)
        {
            throw PagerError(
                .sourceIsRegistered,
                "the bytes to copy lie in a range registered on the same reactor; keep them elsewhere",
                range: overlap)
        }
        do {
            try inThread.add(region.mapping, pageSize: region.pageSize, modes: region.options.modes)
        } catch {
            guard error.errno == .noSpace || error.errno == .exists else { throw PagerError(error) }
            throw PagerError(
                .tooManyRegions,
                "threads can find no more regions, or are still busy with one that was there before; unmap some",
                range: region.range)
        }
    }

    /// Lets threads resolve what needs no handler, now that the region is registered.
    func allowResolution(in region: RegionState) {
        guard let inThread, var plan = inThreadPlan(for: region) else { return }
        plan.mapsExisting = plan.mapsExisting && region.operations.contains(.mapExisting)
        plan.copies = plan.copies && region.operations.contains(.copy)
        plan.zeroes = plan.zeroes && region.operations.contains(.zero)
        inThread.allow(plan, in: region.range)
    }

    /// Takes those of these pages into the table that threads have installed. They can be in it already: a thread notes what
    /// it has installed a moment later, and the pager may have found the page meanwhile.
    func noteInstalled(_ pages: Range<Int>, of region: RegionState) {
        guard let inThread else { return }
        inThread.forEachInstalled(in: region.range(of: pages)) { run in
            // Where a request is under way, its answer will find the page.
            guard !region.table.hasInFlight(run) else {
                for page in run where !region.table.isInFlight(page) { note(page..<page + 1, inThread) }
                return
            }
            note(run, inThread)
        }
        func note(_ run: Range<Int>, _ inThread: InThreadKernel) {
            region.table.install(run)
            inThread.forgetInstalled(region.range(of: run))
        }
    }

    /// Takes the faults of a region that is about to be sealed out of its threads' hands, and the pages they installed into
    /// its table.
    func takeOver(_ region: RegionState) {
        guard let inThread else { return }
        let counts = inThread.close(region.range) { region.table.install($0) }
        statistics.inThreadResolutions += counts.resolutions
        statistics.inThreadPages += counts.pages
        statistics.bytes += counts.bytes
    }

    /// Adds what threads have done in the regions that are there.
    func addInThread(to snapshot: inout PagerStatistics) {
        // Pages of requests that are under way; all others are in the tables.
        guard let counts = inThread?.counts else { return }
        snapshot.inThreadResolutions += counts.resolutions
        snapshot.inThreadPages += counts.pages
        snapshot.bytes += counts.bytes
        snapshot.presentPages += counts.present
    }

    private func inThreadPlan(for region: RegionState) -> InThreadPlan? {
        guard let source = (region.handler as? any InMemoryHandler)?.inThreadSource else { return nil }
        var plan = InThreadPlan()
        plan.pagesPerFault = region.options.pagesPerFault
        plan.mapsExisting = region.options.modes.contains(.minor)
        guard region.options.modes.contains(.missing) else { return plan }
        switch source {
        case .bytes(let bytes, let offset):
            let rest = max(bytes.byteCount - offset, 0)
            plan.copies = true
            plan.zeroes = true
            plan.owner = bytes
            if rest > 0 {
                plan.source = AddressRange(start: bytes.range.start + UInt(offset), byteCount: rest)
            }
        case .zero:
            plan.zeroes = true
        case .existing:
            break
        }
        return plan
    }
}
