import EventReactor
import Userfault

// Regions over stores come and go.
extension PagerCore {
    func map<Store: PageStore>(
        _ store: Store, baseOffset: Int, byteCount: Int?, budget: MemoryBudget?, options: RegionOptions
    ) throws(PagerError) -> RegionState {
        guard !isForeign else { throw .wrongProcess("mapped", nil) }
        guard lifecycle == .serving, let kernel else { throw .shutDown() }
        // Dropping pages would wait for this thread, and what is in the store could not follow memory that moves. Every write
        // to a protected page must send a message.
        let unfit: Features = [
            .removeEvents, .unmapEvents, .remapEvents, .forkEvents, .asynchronousWriteProtect, .sigbus,
        ]
        guard kernel.features.isDisjoint(with: unfit) else {
            throw PagerError(
                .unsupportedOperation,
                "a region over a store needs a pager that is told of every write and of no change of the address space: without \(kernel.features.intersection(unfit))"
            )
        }
        guard !options.usesHugePages else {
            throw PagerError(.unsupportedOperation, "a region over a store is made of ordinary pages")
        }
        guard baseOffset >= 0, baseOffset < store.byteCount else {
            throw PagerError(
                .invalidRange, "offset \(baseOffset) is not in the store, which has \(store.byteCount) bytes")
        }
        let byteCount = byteCount ?? store.byteCount - baseOffset
        guard byteCount > 0, byteCount <= store.byteCount - baseOffset else {
            throw PagerError(
                .invalidRange,
                "the store has \(store.byteCount - baseOffset) bytes from there on, not \(byteCount); make it longer"
            )
        }
        let state = try budget.map { budget throws(PagerError) in try use(budget) }
        var options = options
        options.modes = [.missing, .writeProtect]
        if let state { options.maximumRequestPages = min(options.maximumRequestPages, state.largestRequest) }
        let writers = try startWriters()
        let page = RegionState.systemPageSize
        let mapping: Mapping
        do {
            mapping = try Mapping.anonymous(
                byteCount: (byteCount + page - 1) / page * page, inheritedByFork: options.isInheritedByFork)
        } catch {
            throw PagerError(error)
        }
        let region = RegionState(
            mapping: mapping, ownsMemory: true, pageSize: page, baseOffset: baseOffset,
            handler: watched(StoreHandler(store)), options: options)
        region.hasOnlySuppliedPages = true
        let paging = RegionPaging(region, self, store: store, budget: state, writers: writers)
        region.paging = paging
        let added = try add(region)
        guard added.operations.contains(.writeProtect) else {
            try remove([added.family.number])
            throw PagerError(
                .unsupportedOperation, "the kernel does not write-protect this memory", range: added.range)
        }
        // There are no zero pages that are protected from the start.
        added.operations.remove(.zero)
        // Where the program drops a page, protecting it leaves a mark.
        mark(added)
        state?.regions.append(paging)
        return added
    }

    private func use(_ budget: MemoryBudget) throws(PagerError) -> BudgetState {
        if let state = budgets[ObjectIdentifier(budget)] { return state }
        guard budget.claim(for: self) else {
            throw PagerError(
                .invalidBudget, "the budget is in use by another pager; make one for each pager")
        }
        let state = BudgetState(budget, pageSize: RegionState.systemPageSize)
        budgets[ObjectIdentifier(budget)] = state
        return state
    }

    private func startWriters() throws(PagerError) -> WorkerPool {
        if let writers { return writers }
        do throws(ReactorError) {
            let pool = try WorkerPool(threads: 2, name: "write-back")
            writers = pool
            return pool
        } catch {
            throw PagerError(.reactor, "the threads that write to stores could not be started: \(error)")
        }
    }

    func flush(_ number: UInt64, _ completion: @escaping (Result<Void, PagerError>) -> Void) {
        guard lifecycle != .closed else { return completion(.failure(.shutDown())) }
        guard let region = families[number]?.members.first else {
            return completion(.failure(.notOfThisPager(nil)))
        }
        guard let paging = region.paging else {
            return completion(
                .failure(
                    PagerError(
                        .unsupportedOperation, "only a region over a store can be flushed",
                        range: region.range)))
        }
        paging.flush(completion)
    }

    /// A store has failed to make durable what a region has written to it. It tells that once, whoever has written what was lost.
    func storeHasLost(besides region: RegionPaging, _ error: any Error) {
        guard let identity = region.storeIdentity else { return }
        for family in families.values {
            for case let other? in family.members.map(\.paging)
            where other !== region && other.storeIdentity == identity { other.storeHasLost(error) }
        }
    }

    /// Takes a region out of service, one over a store after what was written to it is there, or the deadline has passed.
    func unmap(
        _ number: UInt64, within deadline: Duration, _ completion: @escaping (PagerError?) -> Void
    ) {
        guard lifecycle != .closed, let paging = families[number]?.members.first?.paging else {
            return completion(removal(of: number))
        }
        let ending = RegionEnding(self, number, completion)
        ending.timer = reactor.startTimer(after: deadline, ending)
        paging.settle { ending.finish($0) }
    }

    fileprivate func removal(of number: UInt64) -> PagerError? {
        do throws(PagerError) {
            try remove([number])
            return nil
        } catch {
            return error
        }
    }
}

/// The end of a region over a store: when all is written, or time is up. Loop's thread only.
private final class RegionEnding: TimerHandler {
    private let core: PagerCore
    private let number: UInt64
    private var completion: ((PagerError?) -> Void)?
    var timer: TimerID?

    init(_ core: PagerCore, _ number: UInt64, _ completion: @escaping (PagerError?) -> Void) {
        self.core = core
        self.number = number
        self.completion = completion
    }

    func timerFired(_ id: TimerID) {
        timer = nil
        let unwritten = core.families[number]?.members.first?.paging?.unwritten ?? []
        finish(.notWritten(unwritten, nil))
    }

    func finish(_ error: PagerError?) {
        guard let completion else { return }
        self.completion = nil
        if let timer { core.reactor.cancelTimer(timer) }
        let refusal = core.removal(of: number)
        completion(error ?? refusal)
    }
}
