import Userfault

// What the kernel's answers mean for pages, their threads and their buffers.
extension PagerCore {
    /// - Parameter existed: whether the page was there already, with contents of somebody else's.
    func install(
        _ range: AddressRange, of region: RegionState, action: Scheduler<Tag>.Action, existed: Bool,
        demand: Range<Int>
    ) {
        let pages = region.pages(of: range)
        region.table.install(pages)
        statistics.inFlightPages -= pages.count
        if case .poison = action { statistics.poisonedPages += pages.count }
        guard region.needsCare else { return }
        region.writeWatch?.installed(pages)
        if let paging = region.paging {
            installedPaged(pages, paging, action: action, existed: existed, demand: demand)
        }
    }

    /// Puts an outcome to its place. `isAwake`: the operation has woken the threads of what it did.
    func settle(_ settlement: Scheduler<Tag>.Settlement, isAwake: Bool) {
        let range = settlement.range
        for index in scheduler.runPieces {
            guard let part = scheduler.part(index, in: range) else { continue }
            settle(scheduler[index], part, settlement.disposition)
        }
        switch settlement.disposition {
        case .done:
            statistics.bytes += range.byteCount
            if !isAwake { wakeLater(range) }
        case .exists:
            // Whoever was first may have installed it without waking, or through another mapping.
            statistics.exists += 1
            wakeLater(range)
        case .again:
            statistics.again += 1
        case .gone(.range):
            wakeLater(range)
        case .gone(.process):
            stop(because: .processExited("its memory is gone", range: range))
        case .failed:
            break
        }
    }

    /// The same for the `part` of one piece.
    private func settle(
        _ piece: Scheduler<Tag>.Piece, _ part: AddressRange, _ disposition: Scheduler<Tag>.Disposition
    ) {
        let region = piece.tag.region
        switch disposition {
        case .done, .exists:
            install(
                part, of: region, action: piece.action, existed: disposition == .exists,
                demand: piece.tag.demand)
        case .again:
            parked.append(piece.restricted(to: part))
            return
        case .gone(.range):
            drop(part, of: region)
        case .gone(.process):
            return
        case .failed(let error):
            failed(piece, part, error)
        }
        // The last bytes of the piece: its buffer is free.
        if part.end == piece.range.end { letGo(piece.tag.owner, of: region) }
    }

    func wakeLater(_ range: AddressRange) {
        if statistics.inFlightPages != 0, let gap = wakes.gap(to: range), !canWakeAcross(gap) {
            wakes.add(range)
        } else {
            wakes.extend(to: range)
        }
    }

    /// Whether nobody in `gap` waits for a page that is still to come.
    private func canWakeAcross(_ gap: AddressRange) -> Bool {
        guard let region = region(at: gap.start), region.range.contains(gap) else { return false }
        // Looking through a large gap costs more than a second wake.
        guard gap.byteCount / region.pageSize <= 1 << 14 else { return false }
        return !region.table.hasInFlight(region.pages(of: gap))
    }
}
