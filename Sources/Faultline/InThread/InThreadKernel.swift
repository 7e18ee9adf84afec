package import Userfault

/// A userfaultfd that raises SIGBUS instead of sending messages, made to look like one that sends messages.
///
/// What the faulting threads cannot resolve themselves arrives through a queue; they sleep on futexes of their own, which
/// are woken where the kernel would wake. The pager does not see the difference.
///
/// `@unchecked`: like every kernel it is called on the loop's thread only, once it belongs to a pager.
package final class InThreadKernel: FaultKernel, @unchecked Sendable {
    private let real: any FaultKernel
    private let queue: HandoverQueue
    private let regions = Confined(RangeIndex<InThreadRegion>())

    /// How many faults may be on their way to the reactor at a time. Threads beyond that wait for room.
    package static let usualQueueCapacity = 4096

    /// Installs the handler of SIGBUS, if that was not done before.
    ///
    /// - Parameters:
    ///   - real: the descriptor, enabled with `Features.sigbus`.
    ///   - queueCapacity: how many faults may be on their way at a time.
    ///   - namesThreads: whether requests tell the thread that waits.
    package init(
        _ real: any FaultKernel, queueCapacity: Int = InThreadKernel.usualQueueCapacity,
        namesThreads: Bool = false
    ) throws(SystemFailure) {
        self.real = real
        queue = try HandoverQueue(capacity: queueCapacity, namesThreads: namesThreads)
    }

    /// Whether a thread that waits for a futex at this address waits for a page.
    package static func isFutex(_ address: UInt) -> Bool { HandoverQueue.isFutex(address) }

    package var fileDescriptor: CInt { queue.descriptor }
    package var features: Features { real.features }

    package func read(into batch: EventReader) throws(UserfaultfdError) -> Int {
        queue.take(into: batch) { kind(at: $0) }
        return batch.count
    }

    /// A signal does not tell missing pages from those that are only not mapped.
    private func kind(at address: UInt) -> Fault.Kind {
        guard let region = region(at: address), region.modes.contains(.minor) else { return .missing }
        let page = address & ~UInt(region.pageSize - 1)
        return region.modes == .minor || HandoverQueue.isCached(page) ? .minor : .missing
    }

    // Faults are caught before the memory is registered: there is no moment in which one is a stranger's.
    package func register(
        _ range: AddressRange, modes: RegistrationModes
    ) throws(UserfaultfdError) -> Operations {
        do {
            return try real.register(range, modes: modes)
        } catch {
            forget(range)
            throw error
        }
    }

    package func unregister(_ range: AddressRange) throws(UserfaultfdError) {
        defer { forget(range) }
        try real.unregister(range)
    }

    // No thread sleeps in the kernel.
    package func wake(_ range: AddressRange) throws(UserfaultfdError) { HandoverQueue.wake(range) }

    package func copy(from source: UInt, to range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        settle(real.copy(from: source, to: range, wake: false, protect: protect), range, wake)
    }

    package func move(from source: UInt, to range: AddressRange, wake: Bool) -> Outcome {
        // That something is gone can mean the source.
        settle(real.move(from: source, to: range, wake: false), range, wake, mayBeGone: false)
    }

    package func mapExisting(_ range: AddressRange, wake: Bool, protect: Bool) -> Outcome {
        settle(real.mapExisting(range, wake: false, protect: protect), range, wake)
    }

    package func zero(_ range: AddressRange, wake: Bool) -> Outcome {
        settle(real.zero(range, wake: false), range, wake)
    }

    package func unprotect(_ range: AddressRange, wake: Bool) -> Outcome {
        real.unprotect(range, wake: false)
    }
    package func protect(_ range: AddressRange) -> Outcome { real.protect(range) }
    package func discard(_ ranges: ArraySlice<AddressRange>) -> Int { real.discard(ranges) }

    package func poison(_ range: AddressRange, wake: Bool) -> Outcome {
        let outcome = real.poison(range, wake: false)
        if let done = outcome.done(of: range) {
            // Before anybody is woken: who touches such a page again must not end up here for ever.
            region(at: range.start)?.withhold(done, isSealed: false)
            if wake { HandoverQueue.wake(done) }
        }
        return outcome
    }

    // Finds out, and settles nothing.
    package func probe(_ range: AddressRange) -> RangeProbe { real.probe(range) }

    package func noteSealed(_ range: AddressRange) {
        region(at: range.start)?.withhold(range, isSealed: true)
    }

    private func settle(
        _ outcome: Outcome, _ range: AddressRange, _ wake: Bool, mayBeGone: Bool = true
    ) -> Outcome {
        guard let region = region(at: range.start) else { return outcome }
        if let done = outcome.done(of: range) {
            region.forgetInstalled(done)
            if wake { HandoverQueue.wake(done) }
        } else if outcome == .exists {
            region.forgetInstalled(AddressRange(start: range.start, byteCount: region.pageSize))
        } else if outcome == .gone(.range), mayBeGone, range.byteCount == region.pageSize {
            // Something else is there now. If it raises SIGBUS, that is not for us to see to.
            region.withhold(range, isSealed: true)
        }
        return outcome
    }
}

// What the pager asks of this kernel and of no other.
extension InThreadKernel {
    /// Begins to catch the faults of a region: before it is registered.
    func add(_ mapping: Mapping, pageSize: Int, modes: RegistrationModes) throws(SystemFailure) {
        queue.isServedHere()
        let region = try InThreadRegion(mapping, pageSize: pageSize, modes: modes, kernel: real, queue: queue)
        _ = regions.value.insert(region, for: mapping.range)
    }

    /// Lets threads resolve the region's faults themselves.
    func allow(_ plan: InThreadPlan, in range: AddressRange) { region(at: range.start)?.allow(plan) }

    /// Stops threads from resolving the region's faults. Calls `note` with the pages that they installed.
    func close(_ range: AddressRange, note: (Range<Int>) -> Void) -> InThreadCounts {
        guard let region = region(at: range.start) else { return InThreadCounts() }
        region.close()
        region.forEachInstalled(in: range, note)
        return region.counts
    }

    /// Calls `body` with the runs of pages of `range` that threads have installed and that nobody else keeps account of.
    func forEachInstalled(in range: AddressRange, _ body: (Range<Int>) -> Void) {
        region(at: range.start)?.forEachInstalled(in: range, body)
    }

    /// The caller keeps account of these pages from now on.
    func forgetInstalled(_ range: AddressRange) { region(at: range.start)?.forgetInstalled(range) }

    /// What threads have done in the regions that are there now.
    var counts: InThreadCounts {
        var sum = InThreadCounts()
        for region in regions.value.values { sum += region.counts }
        return sum
    }

    private func region(at address: UInt) -> InThreadRegion? { regions.value.value(at: address) }

    private func forget(_ range: AddressRange) { regions.value.remove(range)?.remove() }
}

extension Outcome {
    /// The part of `range` that was installed.
    fileprivate func done(of range: AddressRange) -> AddressRange? {
        switch self {
        case .whole: range
        case .partial(let bytesDone) where bytesDone > 0:
            AddressRange(start: range.start, byteCount: bytesDone)
        default: nil
        }
    }
}
