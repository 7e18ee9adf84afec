import EventReactor
import Userfault

// Where trackers and snapshots meet the pager: who looks at writes, and how pages are installed meanwhile.
extension PagerCore {
    /// The region, when its writes can be watched.
    func watchableRegion(_ number: UInt64) throws(PagerError) -> RegionState {
        guard lifecycle == .serving, let kernel, let region = servedRegion(number) else { throw .shutDown() }
        let range = region.range
        guard region.operations.contains(.writeProtect) else {
            throw PagerError(
                .unsupportedOperation,
                "writes can be watched only in a region whose modes include writeProtect", range: range)
        }
        guard region.paging == nil else {
            throw PagerError(
                .unsupportedOperation, "a region over a store notes itself what is written to it",
                range: range)
        }
        // Pages that the kernel makes out of nothing would be written without a message.
        guard
            region.options.modes.contains(.missing) || region.memoryKind != .privateAnonymous
                || !kernel.features.isDisjoint(with: [.writeProtectUnpopulated, .asynchronousWriteProtect])
        else {
            throw PagerError(
                .unsupportedOperation,
                "empty pages of private memory cannot be protected before Linux 6.4; add the mode missing",
                range: range)
        }
        return region
    }

    /// What looks at the writes to a region's protected pages from now on.
    func watch(_ region: RegionState) -> WriteWatch {
        if let watch = region.writeWatch { return watch }
        let watch = WriteWatch(region, self)
        region.writeWatch = watch
        if !region.hasOnlySuppliedPages || region.memoryKind != .privateAnonymous { mark(region) }
        return watch
    }

    /// Pages of `region` that are absent are about to be protected: the kernel puts marks in their places.
    func mark(_ region: RegionState) {
        guard let kernel else { return }
        region.isMarked =
            region.isMarked || region.memoryKind != .privateAnonymous
            || !kernel.features.isDisjoint(with: [.writeProtectUnpopulated, .asynchronousWriteProtect])
    }

    /// Starts to note the pages of a region that are written; `completion` is called when they are all protected.
    func startTracking(
        _ number: UInt64, _ completion: @escaping (Result<LoopBound<DirtyTracking>, PagerError>) -> Void
    ) {
        let region: RegionState
        do throws(PagerError) {
            region = try watchableRegion(number)
            guard region.writeWatch?.tracking == nil else {
                throw PagerError(
                    .busy, "the region is being tracked already; stop that first", range: region.range)
            }
        } catch {
            return completion(.failure(error))
        }
        let watch = watch(region)
        let tracking = DirtyTracking(watch)
        // From here on, what is installed is protected, and what is not protected yet needs not be noted.
        watch.tracking = tracking
        let result = LoopBound(tracking, on: reactor)
        _ = watch.pass(.protect, watch.protectablePages(), slice: .small) { outcome in
            switch outcome {
            case .success:
                completion(.success(result))
            case .failure(let error):
                tracking.stop { completion(.failure(error)) }
            }
        }
    }

    /// As ``perform(_:_:of:wake:)``, in a region that is watched, or has marks where pages are absent.
    func performWithCare(
        _ action: Scheduler<Tag>.Action, _ range: AddressRange, of region: RegionState, wake: Bool,
        _ kernel: any FaultKernel
    ) -> Outcome {
        let protect = region.protectsFills
        switch action {
        case .copy(let source), .move(let source):
            // Pages cannot be protected as they are moved, nor moved to where a mark stands.
            statistics.copies += 1
            return kernel.copy(from: source, to: range, wake: wake, protect: protect)
        case .copyProtected(let source):
            statistics.copies += 1
            return kernel.copy(from: source, to: range, wake: wake, protect: true)
        case .mapExisting(let isProtected):
            statistics.continues += 1
            return kernel.mapExisting(range, wake: wake, protect: protect || isProtected)
        case .zero:
            return copyZeroesAtOnce(range, of: region, wake: wake, kernel)
        case .unprotect:
            guard let watch = region.writeWatch else { break }
            // A handler was asked before the watch began. Now it is for the watch to say.
            watch.admit(region.pages(of: range))
            return .whole
        case .poison:
            return poisonOverMark(range, of: region, wake: wake, kernel)
        }
        statistics.unprotects += 1
        return kernel.unprotect(range, wake: wake)
    }

    /// There is no zero page that is protected from the start, nor one that goes in the place of a mark.
    private func copyZeroesAtOnce(
        _ range: AddressRange, of region: RegionState, wake: Bool, _ kernel: any FaultKernel
    ) -> Outcome {
        guard let zeroes = try? zeroes(of: region) else {
            return .failed(UserfaultfdError(operation: .copy, errno: .noMemory, range: range))
        }
        let part = AddressRange(start: range.start, byteCount: min(range.byteCount, zeroes.byteCount))
        statistics.copies += 1
        let outcome = kernel.copy(
            from: zeroes.address, to: part, wake: wake, protect: region.protectsFills)
        guard case .whole = outcome, part.byteCount < range.byteCount else { return outcome }
        return .partial(bytesDone: part.byteCount)
    }

    /// Zeroes to copy from: nobody writes to them, so that they take no memory of their own.
    func zeroes(of region: RegionState) throws(SystemFailure) -> Mapping {
        if let zeroes = region.zeroes { return zeroes }
        let pages = region.pageSize == RegionState.systemPageSize ? 64 : 1
        let zeroes = try Mapping.anonymous(byteCount: pages * region.pageSize)
        region.zeroes = zeroes
        return zeroes
    }

    /// The kernel takes the mark of a protection for a page, and refuses to poison it.
    private func poisonOverMark(
        _ range: AddressRange, of region: RegionState, wake: Bool, _ kernel: any FaultKernel
    ) -> Outcome {
        statistics.poisons += 1
        let outcome = kernel.poison(range, wake: wake)
        guard case .exists = outcome, region.isMarked else { return outcome }
        let first = AddressRange(start: range.start, byteCount: region.pageSize)
        _ = kernel.unprotect(first, wake: false)
        let second = kernel.poison(range, wake: wake)
        // It was a page after all, which is not protected any more.
        if case .exists = second { region.writeWatch?.tracking?.dirty.insert(region.pages(of: first)) }
        return second
    }

    /// Pages that are there without our having put them there.
    func learn(_ present: [AddressRange], of region: RegionState) {
        for range in present {
            guard let part = region.range.intersection(range) else { continue }
            var pages = region.pages(of: part)
            while let run = region.table.nextMissingRun(in: pages) {
                region.table.installMissing(run)
                pages = run.upperBound..<pages.upperBound
            }
        }
    }
}
