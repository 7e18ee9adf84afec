import EventReactor
import Userfault

extension PagerCore {
    func map(
        byteCount: Int, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("mapped", nil) }
        return try add(try MappedMemory(byteCount: byteCount, options), handler: handler, options: options)
    }

    func map(
        _ memory: SharedMemory, isPrivate: Bool, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("mapped", nil) }
        return try add(
            try MappedMemory(memory, isPrivate: isPrivate, options), handler: handler, options: options)
    }

    private func add(
        _ memory: MappedMemory, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        let region = RegionState(
            mapping: memory.mapping, ownsMemory: true, pageSize: memory.pageSize, memoryKind: memory.kind,
            handler: watched(handler), options: options)
        region.hasOnlySuppliedPages = memory.isFresh && options.modes.contains(.missing)
        return try add(region)
    }

    func register(
        _ range: AddressRange, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("registered; adopt it instead", range) }
        let page = SystemPage.size
        try checkBounds(range, pageSize: page)
        return try add(
            RegionState(
                mapping: .borrowed(range), ownsMemory: false, pageSize: page, handler: watched(handler),
                options: options))
    }

    func checkBounds(_ range: AddressRange, pageSize: Int) throws(PagerError) {
        guard range.byteCount > 0, range.isAligned(to: pageSize), range.start != 0,
            range.start <= UInt.max - UInt(range.byteCount)
        else {
            throw PagerError(
                .invalidRange,
                "a region must begin and end at multiples of \(pageSize) bytes and not be empty", range: range
            )
        }
    }

    func add(_ region: RegionState) throws(PagerError) -> RegionState {
        guard lifecycle == .serving else { throw .shutDown() }
        try makeRoom(for: region.range, isFresh: region.isFresh)
        try register(region)
        name(region)
        takeIn(region)
        enlist(region.family)
        return region
    }

    /// What the stall detector calls its handler.
    func name(_ region: RegionState) {
        region.activity = reactor.registerActivity("handler of \(region.options.name)")
        region.family.activity = region.activity
    }

    /// Makes sure that nothing is served at addresses that are about to be.
    func makeRoom(for range: AddressRange, isFresh: Bool) throws(PagerError) {
        // What has happened at these addresses before must not be taken for something that happens to the region.
        catchUp()
        for (part, owner) in served.index.parts(in: range) {
            // What was there has gone, if these addresses were given out anew.
            guard owner.giveUp(part, isFresh: isFresh) else {
                throw PagerError(
                    .overlap, "the range overlaps one that is registered on this reactor",
                    range: served.index.firstOverlap(part))
            }
        }
    }

    /// Has the kernel send the faults of a region to this pager, unless its process does that.
    func register(_ region: RegionState) throws(PagerError) {
        guard let kernel else { throw .shutDown() }
        try catchFaults(of: region)
        do {
            let offered =
                region.isRegisteredByPeer
                ? Operations.expected(of: region.memoryKind, region.options.modes)
                : try kernel.register(region.range, modes: region.options.modes)
            region.operations = offered.usable(on: region.memoryKind)
            // The pages of one process cannot be moved to another.
            if isForeign { region.operations.remove(.move) }
            guard region.operations.contains(.wake) else {
                try kernel.unregister(region.range)
                throw PagerError(
                    .unsupportedMemory, "the kernel offers only \(offered) for this memory",
                    range: region.range)
            }
        } catch let error as UserfaultfdError {
            throw PagerError(error)
        } catch let error as PagerError {
            throw error
        } catch {
            throw PagerError(.kernel, "\(error)", range: region.range)
        }
        if region.hugePages != nil { region.mapping.preferHugePages(region.range) }
        allowResolution(in: region)
    }

    /// Gives a region that is served the number by which its owner calls it.
    func enlist(_ family: RegionFamily) {
        lastFamily += 1
        family.number = lastFamily
        families[lastFamily] = family
    }

    /// Takes regions out of service: their handlers are cancelled, their missing pages sealed, their threads let go.
    func remove(_ numbers: [UInt64]) throws(PagerError) {
        guard lifecycle != .closed else { return }
        // What has happened to them by now counts.
        catchUp()
        defer {
            regions.removeAll(where: \.isClosed)
            lastRegion = nil
        }
        for number in numbers { try remove(number) }
        if lifecycle == .draining { closeIfDrained() }
    }

    private func remove(_ number: UInt64) throws(PagerError) {
        if let family = families[number] { takeBackAll(of: family) }
        guard let family = families[number] else { throw .notOfThisPager(nil) }
        families[number] = nil
        for region in family.members { retire(region) }
        leave(family.whole)
        // What is still owed for it is owed for nobody in particular.
        debts.replaceAll { departure in
            guard let region = departure.region, region.family.number == number else { return nil }
            return .sealed
        }
        reactor.unregisterActivity(family.activity)
    }

    /// Seals what is missing, so that nobody is ever shown zeroes that nobody gave; only then does the kernel let go.
    func retire(_ region: RegionState) {
        guard !region.isClosed else { return }
        region.isClosed = true
        region.writeWatch?.retire()
        region.paging?.retire()
        for ticket in open.tickets where ticket.region === region { end(ticket) }
        scheduler.removePending { $0.tag.region === region }
        parked.removeAll { $0.tag.region === region }
        statistics.inFlightPages -= region.table.inFlightCount
        takeOver(region)
        for piece in pieces(of: region) { seal(piece, of: region) }
        // Closing the descriptor lets go of all at once. Piece by piece would cut the process's mappings apart for a moment, and
        // an mremap(2) of a whole one would fail.
        let goesAtOnce = region.isRegisteredByPeer && lifecycle == .closed
        // Sealing may have read of changes.
        for piece in pieces(of: region) {
            do {
                if !memoryIsGone, !goesAtOnce { try kernel?.unregister(piece) }
            } catch {
                // What is unmapped at this moment, or with its process, cannot be unregistered, and need not.
                let mayBeGone = hearsOfUnmapping || region.isRegisteredByPeer
                let isGone = mayBeGone && error.errno == .invalidArgument
                if !isGone, kernel?.probe(piece) != .processGone { report(PagerError(error)) }
            }
            if region.family.whole == nil { _ = served.index.carve(piece) }
        }
        // They hold each other: what was mapped goes with the last of them.
        region.family.members.removeAll { $0 === region }
        endPrefetches(of: region)
        statistics.add(region.watch.readAhead)
    }

    /// The addresses of a region that are still its.
    private func pieces(of region: RegionState) -> [AddressRange] {
        guard region.table.isAltered else { return [region.range] }
        return regions.parts(in: region.range).filter { $0.value === region }.map(\.range)
    }
}
