import EventReactor
import Userfault

extension PagerCore {
    /// Keeps the map of the regions true. None of these comes unless the descriptor was opened with its feature.
    func apply(_ event: Event) {
        statistics.events += 1
        switch event {
        case .fault:
            return
        case .fork(let descriptor):
            forked(descriptor)
        case .remove(let range):
            removed(range)
        case .unmap(let range):
            unmapped(range)
        case .remap(let from, let to, let byteCount):
            remapped(AddressRange(start: from, byteCount: byteCount), to: to)
        case .unknown(let code):
            report(PagerError(.kernel, "the kernel sent an event of an unknown kind (\(code))"))
        }
    }

    /// The contents of `range` are being dropped. The pages may still be there for a moment, and what is filled meanwhile is
    /// dropped too.
    private func removed(_ range: AddressRange) {
        for (part, region) in regions.parts(in: range) {
            let pages = region.pages(of: part)
            switch region.options.removedPages {
            case .zero:
                region.table.remove(pages)
                revise(region)
                // They hold something else than before.
                region.writeWatch?.tracking?.dirty.insert(pages)
            case .askHandler:
                region.table.forgetPresent(pages)
            }
            tell(.removed, part, of: region)
        }
    }

    func tell(_ kind: AddressSpaceChange.Kind, _ range: AddressRange, of region: RegionState) {
        configuration.onChange?(
            AddressSpaceChange(region: region.options.name, range: range, kind: kind))
    }

    // MARK: Removed pages

    /// A fault on a page whose contents were dropped: it is zero, and so are those of its neighbours of which that is true
    /// as well. The same page may ask again and again, since it is dropped after the message was read.
    func admitRemoved(_ fault: Fault, _ first: Int, of region: RegionState, next: inout Int) {
        guard !region.table.isInFlight(first) else {
            statistics.joined += 1
            return
        }
        var isWrite = fault.isWrite
        let end = run(from: first, kind: .missing, of: region, isWrite: &isWrite, next: &next) { page in
            region.table.fate(page) == .zero && !region.table.isInFlight(page)
        }
        region.table.forgetPresent(first..<end)
        begin(first..<end, of: region)
        zeroRemoved(first..<end, of: region)
    }

    /// Answers for pages in flight whose contents were dropped.
    private func zeroRemoved(_ pages: Range<Int>, of region: RegionState) {
        statistics.removedAnswers += pages.count
        enqueue(
            .zero, covering: region.range(of: pages), part: region.range(of: pages), region: region,
            failures: 0,
            demand: pages)
    }

    /// Settles those of `pages`, in flight, whose fate does not depend on the handler: zero or gone. Returns them, with
    /// those of `supplied`, which are settled already.
    func settleAltered(
        _ pages: Range<Int>, of region: RegionState, kind: Fault.Kind, supplied: [Range<Int>]
    ) -> [Range<Int>] {
        guard region.table.hasAltered(pages) else { return supplied }
        var settled = supplied
        var runs: [(pages: Range<Int>, fate: FaultTable.Fate)] = []
        pages.forEachPart(outside: supplied) { runs += region.table.fates(of: $0) }
        for (run, fate) in runs {
            switch fate {
            case .asAnswered: continue
            // The page cache has the truth about minor faults; a protected page is there no more, and its writer finds out.
            case .zero where kind != .missing: continue
            case .zero: zeroRemoved(run, of: region)
            case .gone: break
            }
            settled.append(run)
        }
        return settled
    }

    /// Takes into account, for answers that wait to be committed, what has become of their pages.
    func revise(_ region: RegionState) {
        if scheduler.hasPending {
            for piece in scheduler.takePending() {
                for piece in revised(piece, of: region) { scheduler.add(piece) }
            }
        }
        if !parked.isEmpty { parked = parked.flatMap { revised($0, of: region) } }
    }

    /// What is to be installed in place of `piece`, if it is one of `region`.
    private func revised(_ piece: Scheduler<Tag>.Piece, of region: RegionState) -> [Scheduler<Tag>.Piece] {
        guard piece.tag.region === region else { return [piece] }
        let pages = region.pages(of: piece.range)
        guard region.table.hasAltered(pages) else { return [piece] }
        var pieces: [Scheduler<Tag>.Piece] = []
        for (run, fate) in region.table.fates(of: pages) {
            let range = region.range(of: run)
            switch fate {
            case .gone:
                continue
            case .zero where piece.action.givesContents:
                statistics.removedAnswers += run.count
                pieces +=
                    (try? zeroPieces(range, of: region, failures: piece.tag.failures, demand: run)) ?? [
                        refusal(range, of: region, failures: piece.tag.failures)
                    ]
            case .zero, .asAnswered:
                hold(piece.tag.owner)
                pieces.append(piece.restricted(to: range))
            }
        }
        letGo(piece.tag.owner, of: region)
        return pieces
    }
}

extension Scheduler.Action {
    /// Whether a missing page has contents by this, or is refused any.
    fileprivate var givesContents: Bool {
        switch self {
        case .copy, .copyProtected, .move, .poison: true
        case .mapExisting, .unprotect, .zero: false
        }
    }
}
