import EventReactor
import Userfault

extension PagerCore {
    func map(
        byteCount: Int, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("mapped", nil) }
        let page = options.usesHugePages ? RegionState.hugePageSize : RegionState.systemPageSize
        guard byteCount > 0, byteCount <= Int.max - page else {
            throw PagerError(.invalidRange, "a region cannot have \(byteCount) bytes")
        }
        let rounded = (byteCount + page - 1) / page * page
        let mapping: Mapping
        do {
            mapping =
                options.usesHugePages
                ? try Mapping.huge(byteCount: rounded, inheritedByFork: options.isInheritedByFork)
                : try Mapping.anonymous(byteCount: rounded, inheritedByFork: options.isInheritedByFork)
        } catch {
            throw PagerError(error)
        }
        return try add(
            RegionState(
                mapping: mapping, ownsMemory: true, pageSize: page,
                memoryKind: options.usesHugePages ? .hugePages : .privateAnonymous, handler: handler,
                options: options))
    }

    func map(
        _ memory: SharedMemory, isPrivate: Bool, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("mapped", nil) }
        let mapping: Mapping
        do {
            mapping = try Mapping.writableFile(
                memory.file, byteCount: memory.byteCount, isPrivate: isPrivate,
                inheritedByFork: options.isInheritedByFork)
        } catch {
            throw PagerError(error)
        }
        return try add(
            RegionState(
                mapping: mapping, ownsMemory: true, pageSize: memory.pageSize,
                memoryKind: memory.pageSize == RegionState.hugePageSize ? .hugePages : .sharedMemory,
                handler: handler, options: options))
    }

    func register(
        _ range: AddressRange, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("registered; adopt it instead", range) }
        let page = SystemPage.size
        try checkBounds(range, pageSize: page)
        return try add(
            RegionState(
                mapping: .borrowed(range), ownsMemory: false, pageSize: page, handler: handler,
                options: options))
    }

    /// Takes memory of another process into service.
    func adopt(
        _ range: AddressRange, _ memory: MemoryKind, pageSize: Int?, baseOffset: Int,
        handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard isForeign else { throw .wrongProcess("adopted; register it instead", range) }
        let page =
            pageSize ?? (memory == .hugePages ? RegionState.hugePageSize : RegionState.systemPageSize)
        guard page >= RegionState.systemPageSize, page & (page - 1) == 0, baseOffset >= 0 else {
            throw PagerError(
                .invalidRange, "pages of \(page) bytes at offset \(baseOffset) cannot be served", range: range
            )
        }
        try checkBounds(range, pageSize: page)
        return try add(
            RegionState(
                mapping: .borrowed(range), ownsMemory: false, pageSize: page, memoryKind: memory,
                baseOffset: baseOffset, handler: handler, options: options))
    }

    private func checkBounds(_ range: AddressRange, pageSize: Int) throws(PagerError) {
        guard range.byteCount > 0, range.isAligned(to: pageSize), range.start != 0,
            range.start <= UInt.max - UInt(range.byteCount)
        else {
            throw PagerError(
                .invalidRange,
                "a region must begin and end at multiples of \(pageSize) bytes and not be empty", range: range
            )
        }
    }

    private func add(_ region: RegionState) throws(PagerError) -> RegionState {
        guard lifecycle == .serving, let kernel else { throw .shutDown() }
        guard served.index.insert((), for: region.range) else {
            throw PagerError(
                .overlap, "the range overlaps one that is registered on this reactor",
                range: served.index.firstOverlap(region.range))
        }
        do throws(PagerError) {
            try catchFaults(of: region)
        } catch {
            served.index.remove(region.range)
            throw error
        }
        do {
            let offered = try kernel.register(region.range, modes: region.options.modes)
            region.operations = offered.usable(on: region.memoryKind)
            // The pages of one process cannot be moved to another.
            if isForeign { region.operations.remove(.move) }
            guard region.operations.contains(.wake) else {
                try kernel.unregister(region.range)
                served.index.remove(region.range)
                throw PagerError(
                    .unsupportedMemory, "the kernel offers only \(offered) for this memory",
                    range: region.range)
            }
        } catch let error as UserfaultfdError {
            served.index.remove(region.range)
            throw PagerError(error)
        } catch let error as PagerError {
            throw error
        } catch {
            throw PagerError(.kernel, "\(error)", range: region.range)
        }
        allowResolution(in: region)
        _ = regions.insert(region, for: region.range)
        region.activity = reactor.registerActivity("handler of \(region.options.name)")
        return region
    }

    /// Write-protects pages that are there; those that are not keep no protection unless the pager asked for it.
    func protect(_ range: AddressRange, of whole: AddressRange) throws(PagerError) {
        guard lifecycle == .serving, let kernel, let region = regions.value(at: whole.start),
            region.range == whole
        else { throw .shutDown() }
        let page = UInt(region.pageSize - 1)
        guard range.byteCount > 0, (range.start | UInt(range.byteCount)) & page == 0, whole.contains(range)
        else {
            throw PagerError(.invalidRange, "only whole pages of the region can be protected", range: range)
        }
        guard region.operations.contains(.writeProtect) else {
            throw PagerError(
                .unsupportedOperation, "the region's modes do not include writes to protected pages",
                range: range)
        }
        switch kernel.protect(range) {
        case .failed(let error): throw PagerError(error)
        case .whole: return
        case let outcome:
            throw PagerError(.kernel, "the pages could not be protected: \(outcome)", range: range)
        }
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
        takeOver(region)
        seal(region)
        if let kernel, !memoryIsGone {
            do {
                try kernel.unregister(region.range)
            } catch {
                // The kernel has no memory to unregister in any more: that is known already.
                if stopError?.code != .processExited { report(PagerError(error)) }
            }
        }
        served.index.remove(region.range)
        endPrefetches(of: region)
        statistics.add(region.watch.readAhead)
        reactor.unregisterActivity(region.activity)
    }
}
