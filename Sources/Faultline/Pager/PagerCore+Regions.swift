import EventReactor
import Userfault

extension PagerCore {
    func map(
        byteCount: Int, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        let page = SystemPage.size
        guard byteCount > 0, byteCount <= Int.max - page else {
            throw PagerError(.invalidRange, "a region cannot have \(byteCount) bytes")
        }
        let rounded = (byteCount + page - 1) / page * page
        let mapping: Mapping
        do {
            mapping = try Mapping.anonymous(byteCount: rounded, inheritedByFork: options.isInheritedByFork)
        } catch {
            throw PagerError(error)
        }
        return try add(
            RegionState(
                mapping: mapping, ownsMemory: true, pageSize: page, handler: handler, options: options))
    }

    func register(
        _ range: AddressRange, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        let page = UInt(SystemPage.size)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & (page - 1) == 0, range.start != 0,
            range.start <= UInt.max - UInt(range.byteCount)
        else {
            throw PagerError(
                .invalidRange, "a region must begin and end at multiples of \(page) bytes and not be empty",
                range: range)
        }
        return try add(
            RegionState(
                mapping: .borrowed(range), ownsMemory: false, pageSize: Int(page), handler: handler,
                options: options))
    }

    private func add(_ region: RegionState) throws(PagerError) -> RegionState {
        guard lifecycle == .serving, let kernel else { throw .shutDown() }
        guard registered.index.insert((), for: region.range) else {
            throw PagerError(
                .overlap, "the range overlaps one that is registered on this reactor",
                range: registered.index.firstOverlap(region.range))
        }
        do {
            let operations = try kernel.register(region.range, modes: .missing)
            let needed: Operations = [.copy, .zero, .wake]
            guard operations.isSuperset(of: needed) else {
                try kernel.unregister(region.range)
                registered.index.remove(region.range)
                throw PagerError(
                    .unsupportedMemory,
                    "the kernel offers \(operations) for this memory, and \(needed) are needed",
                    range: region.range)
            }
        } catch let error as UserfaultfdError {
            registered.index.remove(region.range)
            throw PagerError(error)
        } catch let error as PagerError {
            throw error
        } catch {
            throw PagerError(.kernel, "\(error)", range: region.range)
        }
        _ = regions.insert(region, for: region.range)
        region.activity = reactor.registerActivity("handler of \(region.options.name)")
        return region
    }

    /// Takes a region out of service: its handlers are cancelled, its missing pages sealed, its threads let go.
    func remove(_ range: AddressRange) throws(PagerError) {
        guard lifecycle != .closed else { return }
        guard let region = regions.value(at: range.start), region.range == range else {
            throw PagerError(
                .invalidRange, "the region is not one of this pager, or has been unmapped before",
                range: range)
        }
        retire(region)
        regions.remove(range)
        if lastRegion === region { lastRegion = nil }
        if lifecycle == .draining { closeIfDrained() }
    }

    /// Seals what is missing, so that nobody is ever shown zeroes that nobody gave; only then does the kernel let go.
    func retire(_ region: RegionState) {
        guard !region.isClosed else { return }
        region.isClosed = true
        for ticket in open.tickets where ticket.region === region {
            _ = open.remove(ticket)
            ticket.runner?.cancel()
            if let timer = ticket.timer {
                retryTimers.removeValue(forKey: timer)
                reactor.cancelTimer(timer)
            }
        }
        scheduler.removePending { $0.tag.region === region }
        parked.removeAll { $0.tag.region === region }
        statistics.inFlightPages -= region.table.inFlightCount
        seal(region)
        if let kernel {
            do { try kernel.unregister(region.range) } catch { report(PagerError(error)) }
        }
        registered.index.remove(region.range)
        reactor.unregisterActivity(region.activity)
    }
}
