import EventReactor
import Userfault

/// How something went whose message is still to come, or one of whose messages is.
enum Departure {
    /// Its addresses were given out again, so it is gone; whether it was moved, and where to, nobody knows yet. Its state is
    /// kept as it was.
    case unseen(RegionState)
    /// It was moved. Old addresses that are still registered (`MREMAP_DONTUNMAP`) are served again when somebody touches
    /// them.
    case moved(RegionState)
    /// The pager has replaced it itself.
    case sealed

    var region: RegionState? {
        switch self {
        case .unseen(let region), .moved(let region): region
        case .sealed: nil
        }
    }
}

extension PagerCore {
    /// Whether the kernel tells of every range that goes.
    var hearsOfUnmapping: Bool { events.contains(.unmapEvents) }

    /// `range` is not mapped any more, or was not when the message was sent: what is there now may be newer.
    func unmapped(_ range: AddressRange) {
        var touched: [RegionState] = []
        let rest = debts.pay(range) { part, departure in
            guard let region = departure.region else { return }
            touched.append(region)
            region.mapping.lose(part)
            if case .unseen = departure { tell(.unmapped, part, of: region) }
        }
        for part in rest {
            for (piece, region) in takeOut(part) {
                region.mapping.lose(piece)
                lose(piece, of: region)
                touched.append(region)
                tell(.unmapped, piece, of: region)
            }
        }
        wake(range)
        for region in touched { endIfOver(region.family) }
    }

    /// Takes `range` out of the indices; what was there, in ascending order.
    func takeOut(_ range: AddressRange) -> [(range: AddressRange, value: RegionState)] {
        lastRegion = nil
        let pieces = regions.carve(range)
        for (piece, _) in pieces { _ = served.index.carve(piece) }
        return pieces
    }

    /// `piece` is no longer the region's: who is asked for it need not answer, and an answer that comes is dropped.
    func lose(_ piece: AddressRange, of region: RegionState) {
        let pages = region.pages(of: piece)
        statistics.inFlightPages -= region.table.lose(pages)
        for ticket in open.tickets where ticket.region === region && ticket.pages.overlaps(pages) {
            guard region.table.fates(of: ticket.pages).allSatisfy({ $0.fate == .gone }) else { continue }
            end(ticket)
        }
        revise(region)
        region.writeWatch?.lost(pages, piece)
        if region.table.goneCount == region.table.pageCount {
            region.isClosed = true
            region.writeWatch?.retire()
            endPrefetches(of: region)
            statistics.add(region.watch.readAhead)
            region.family.members.removeAll { $0 === region }
        }
    }

    /// Ends a request whose answer nobody wants any more.
    func end(_ ticket: RequestTicket) {
        _ = open.remove(ticket)
        ticket.runner?.cancel()
        if let timer = ticket.timer {
            retryTimers.removeValue(forKey: timer)
            reactor.cancelTimer(timer)
        }
        if ticket.cause.prefetch != 0 { prefetchAnswered(ticket) }
    }

    /// Takes a region out of service of which nothing is left, nor to come.
    func endIfOver(_ family: RegionFamily) {
        guard family.members.isEmpty, families[family.number] === family else { return }
        guard !debts.contains(where: { $0.region?.family === family }) else { return }
        families[family.number] = nil
        reactor.unregisterActivity(family.activity)
        configuration.onChange?(
            AddressSpaceChange(region: family.name, range: family.range, kind: .ended))
        if liveness != nil, families.isEmpty { closeSoon() }
    }

    /// Gives up `range`, which is said to be somebody else's memory now: then what this pager had there has gone, and the
    /// message that says so is still to come. False if it is still there, or nobody can tell.
    ///
    /// - Parameter isFresh: whether the kernel has just given out these addresses, or says that something moved there.
    func giveUp(_ range: AddressRange, isFresh: Bool) -> Bool {
        guard hearsOfUnmapping, !isCommitting, isFresh || hasGone(range) else { return false }
        for (piece, region) in takeOut(range) {
            let pages = region.pages(of: piece)
            let ghost = RegionState(piece, of: region, at: piece.start, table: region.table.copied(pages))
            lose(piece, of: region)
            region.mapping.lose(piece)
            debts.add(piece, .unseen(ghost))
        }
        return true
    }

    /// Whether nothing in `range` is registered any more of what this pager serves there.
    private func hasGone(_ range: AddressRange) -> Bool {
        for _ in 0..<200 {
            readEvents()
            var isUnknown = false
            for (piece, region) in regions.parts(in: range) {
                let page = region.pageSize
                let last = AddressRange(start: piece.end - UInt(page), byteCount: page)
                for part in [piece, AddressRange(start: piece.start, byteCount: page), last] {
                    switch kernel?.probe(part) ?? .absent {
                    case .registered, .processGone: return false
                    case .absent: continue
                    case .unknown: isUnknown = true
                    }
                }
            }
            if !isUnknown { return true }
            SystemPause.brief()
        }
        return false
    }
}
