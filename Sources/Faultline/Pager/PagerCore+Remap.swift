import EventReactor
import Userfault

extension PagerCore {
    /// What lay in `old` begins at `start` now, with its contents and its registration. Who waits in `old` must be woken; the
    /// answers for it are dropped, since the threads ask again at the new place.
    ///
    /// A mapping that became longer is registered all of it, but the message has the old length: see ``admitStray(_:)``.
    func remapped(_ old: AddressRange, to start: UInt) {
        let target = AddressRange(start: start, byteCount: old.byteCount)
        // What was known there before has gone, and its message is late.
        makeRoom(for: target)
        for part in moveUnseen(old, to: start) {
            var rest = [part]
            for (piece, region) in takeOut(part) {
                let table = region.table.copied(region.pages(of: piece))
                move(piece, of: region, table: table, by: start &- old.start)
                lose(piece, of: region)
                noteMove(piece, of: region)
                rest = rest.flatMap { $0.subtracting(each: [piece]) }
            }
            guard configuration.memoryOutside == .followRegions else { continue }
            for part in rest { moveLeftover(part, by: start &- old.start) }
        }
        wake(old)
        wake(target)
    }

    /// Moves what was given up in `old` before anybody knew where it went. Returns the other parts of `old`.
    ///
    /// Where something newer is served by now, that may have been moved too: as long as it is still there, the message is
    /// about the former. If nobody can tell, whoever touches the memory gets SIGBUS rather than wrong contents.
    private func moveUnseen(_ old: AddressRange, to start: UInt) -> [AddressRange] {
        var rest = [old]
        for (part, departure) in debts.parts(in: old, where: { $0.isUnseen }) {
            guard let ghost = departure.region else { continue }
            let table = ghost.table.copied(ghost.pages(of: part))
            switch isStillServed(part) {
            case .absent:
                continue
            case .registered:
                move(part, of: ghost, table: table, by: start &- old.start)
                debts.replace(part) { $0.isUnseen ? .moved(ghost) : nil }
            case .unknown, .processGone:
                let none = FaultTable(pageCount: table.pageCount)
                move(part, of: ghost, table: none, by: start &- old.start, handler: RefusingHandler())
            }
            rest = rest.flatMap { $0.subtracting(each: [part]) }
        }
        return rest
    }

    /// Whether what is served in `part`, if anything, is still registered there.
    private func isStillServed(_ part: AddressRange) -> RangeProbe {
        guard let (piece, region) = regions.parts(in: part).first, let kernel else { return .registered }
        let page = AddressRange(start: piece.start, byteCount: region.pageSize)
        // Messages are not read meanwhile: they are to be applied in their order.
        for _ in 0..<200 {
            let answer = kernel.probe(page)
            if answer != .unknown { return answer }
            SystemPause.brief()
        }
        return .unknown
    }

    /// Old addresses that stayed registered when their contents were moved away are moved in their turn, empty.
    private func moveLeftover(_ range: AddressRange, by distance: UInt) {
        for (part, departure) in debts.parts(in: range, where: { $0.isMoved }) {
            guard let region = departure.region, !region.family.members.isEmpty else { continue }
            let table = FaultTable(pageCount: part.byteCount / region.pageSize)
            move(part, of: region, table: table, by: distance)
        }
    }

    private func move(
        _ piece: AddressRange, of region: RegionState, table: consuming FaultTable, by distance: UInt,
        handler: (any FaultHandler)? = nil
    ) {
        let place = piece.start &+ distance
        takeIn(RegionState(piece, of: region, at: place, table: table, handler: handler))
        tell(.moved(to: place), piece, of: region)
    }

    /// The unmap message for the old place follows, unless it is still mapped.
    private func noteMove(_ piece: AddressRange, of region: RegionState) {
        if !hearsOfUnmapping { _ = debts.pay(piece) { _, _ in } }
        debts.add(piece, .moved(region))
    }

    /// Lets whoever has ranges in `range` give them up.
    private func makeRoom(for range: AddressRange) {
        for (part, owner) in served.index.parts(in: range) where !owner.giveUp(part, isFresh: true) {
            report(
                PagerError(
                    .overlap, "memory was moved to where another region is believed to be", range: part))
        }
    }

    /// Serves a part of a region that is registered already.
    func takeIn(_ region: RegionState) {
        guard served.index.insert(RegisteredRanges.Owner(core: self), for: region.range) else {
            return report(
                PagerError(.overlap, "memory cannot be served where another region is", range: region.range))
        }
        enter(region)
        // Its protection has come along, and its handler has not asked for it.
        if region.wasWatched { _ = watch(region) }
    }

    /// Puts a region, whose range is the pager's, into the index and to its family.
    func enter(_ region: RegionState) {
        _ = regions.insert(region, for: region.range)
        lastRegion = nil
        region.family.members.append(region)
    }
}

extension Departure {
    var isUnseen: Bool { if case .unseen = self { true } else { false } }
    var isMoved: Bool { if case .moved = self { true } else { false } }
}
