public import EventReactor
public import Userfault

/// Pagers on all reactors of a group, and regions whose faults they serve together: one mapping, divided into stripes, each of
/// which belongs to one of them. Faults of stripes of different reactors are read, resolved and installed at the same time.
///
/// ```swift
/// let reactors = try ReactorGroup.start()
/// let group = try await PagerGroup(on: reactors)
/// let region = try await group.map(byteCount: 1 << 34, handler: handler)
/// ```
///
/// The same handler serves all stripes. It is called on the threads of several reactors, **at the same time**: what it shares
/// between calls needs a lock, or to be confined to an actor. `reactors.current` tells which one it runs on, for what must be
/// done there (a timer, a connection).
///
/// The pagers stand and fall together. When one stops, because of a failure whose policy is to stop, an error of its
/// descriptor, or because its reactor was shut down, so do the others: pages of all stripes that were never supplied raise SIGBUS
/// from then on, and every thread is let go.
///
/// Its methods may be called from any thread. Call ``shutdown(within:)`` at the end, before that of the reactors; a group that is
/// merely dropped, with all its regions, shuts down at once. See <doc:SeveralReactors>.
public final class PagerGroup: Sendable {
    /// The reactors.
    public let reactors: ReactorGroup
    /// The pagers: one on each reactor in the order of these, then the second of each, and so on. For statistics of each, and for
    /// regions that belong to one reactor only.
    public let pagers: [Pager]
    /// How many pagers each reactor has.
    public let pagersPerReactor: Int

    /// Opens a userfaultfd for each pager. Any thread; goes to the reactors' threads and back (userfaultfd(2), `UFFDIO_API`).
    ///
    /// - Parameters:
    ///   - reactors: where faults are read and handlers run.
    ///   - count: how many pagers each reactor has. The kernel looks at every thread that waits at a descriptor whenever it lets one
    ///     of them go, some 20 ns for each; where hundreds of threads wait for long, several descriptors share them.
    ///   - configuration: that of each pager; its number is appended to the name. Its closures are called on the
    ///     threads of all reactors, at the same time.
    /// - Throws: ``PagerError`` when permission is refused, or the configuration is not for a group: faults cannot be resolved
    ///   in-thread, forks, moves and unmappings are not followed, and write-protection is by messages.
    public init(
        on reactors: ReactorGroup, pagersPerReactor count: Int = 1,
        configuration: Pager.Configuration = Pager.Configuration()
    ) async throws(PagerError) {
        try Self.check(configuration)
        guard count > 0 else { throw PagerError(.badLayout, "each reactor needs a pager at least") }
        self.reactors = reactors
        pagersPerReactor = count
        var pagers: [Pager] = []
        do throws(PagerError) {
            for index in 0..<count * reactors.count {
                var own = configuration
                own.name += "-\(index)"
                let reactor = reactors.reactors[index % reactors.count]
                pagers.append(try await Pager(on: reactor, configuration: own))
            }
        } catch {
            for pager in pagers { await pager.shutdown() }
            throw error
        }
        self.pagers = pagers
        let bond = GroupBond(pagers)
        for pager in pagers {
            let isServing = await pager.reactor.run { pager.core.value.join(bond) }
            // Its reactor was shut down meanwhile.
            if !isServing { bond.isClosed(because: nil) }
        }
    }

    private static func check(_ configuration: Pager.Configuration) throws(PagerError) {
        guard configuration.resolution == .reactor else {
            throw PagerError(
                .unsupportedOperation,
                "threads that resolve their own faults need no group; choose the resolution .reactor, or a single Pager"
            )
        }
        guard configuration.events.isSubset(of: .remove) else {
            throw PagerError(
                .unsupportedOperation,
                "forks, moves and unmappings concern all stripes at once and cannot be followed by a group; "
                    + "ask for the event .remove at most, or use a single Pager")
        }
        guard configuration.writeProtection == .messages else {
            throw PagerError(
                .unsupportedOperation,
                "written pages are not tracked across stripes; leave the write-protection at .messages, or use a single Pager"
            )
        }
    }

    /// Maps fresh private memory of `byteCount` bytes, rounded up to pages, whose contents come from `handler`. Any
    /// thread; goes to the reactors' threads and back (mmap(2), `UFFDIO_REGISTER` for each stripe).
    ///
    /// - Parameters:
    ///   - byteCount: the length in bytes.
    ///   - handler: supplies the pages, on all reactors at the same time. Offsets of its requests count from the start of the
    ///     region; no request reaches beyond a stripe.
    ///   - options: name, failure policy and limits; they hold for each stripe by itself.
    ///   - layout: how the region is divided.
    /// - Throws: ``PagerError`` when the length is not positive, the layout cannot be, or the kernel refuses memory or
    ///   registration; stripes that were registered by then are taken back.
    public func map(
        byteCount: Int, handler: any FaultHandler, options: RegionOptions = RegionOptions(),
        layout: StripeLayout = .automatic
    ) async throws(PagerError) -> StripedRegion {
        try await serve(try MappedMemory(byteCount: byteCount, options), handler, options, layout)
    }

    /// Maps `memory` as a striped region, as ``Pager/map(_:isPrivate:handler:options:)`` does for one reactor.
    ///
    /// - Parameters:
    ///   - memory: shared memory, of ordinary or huge pages.
    ///   - isPrivate: whether writes to the region stay in it (`MAP_PRIVATE`).
    ///   - handler: supplies the pages, on all reactors at the same time.
    ///   - options: name, failure policy, limits and modes.
    ///   - layout: how the region is divided.
    /// - Throws: ``PagerError`` when the layout cannot be, or the kernel refuses the mapping or the registration.
    public func map(
        _ memory: SharedMemory, isPrivate: Bool = false, handler: any FaultHandler,
        options: RegionOptions = RegionOptions(), layout: StripeLayout = .automatic
    ) async throws(PagerError) -> StripedRegion {
        try await serve(
            try MappedMemory(memory, isPrivate: isPrivate, options), handler, options, layout)
    }

    private func serve(
        _ memory: MappedMemory, _ handler: any FaultHandler, _ options: RegionOptions, _ layout: StripeLayout
    ) async throws(PagerError) -> StripedRegion {
        let plan = try layout.plan(
            memory.mapping.range, pageSize: memory.pageSize, reactors: reactors.count,
            pagersPerReactor: pagersPerReactor)
        var shares = [[Int]](repeating: [], count: pagers.count)
        for stripe in 0..<plan.stripeCount { shares[plan.pager(of: stripe)].append(stripe) }
        var numbers = [UInt64](repeating: 0, count: plan.stripeCount)
        for (index, share) in shares.enumerated() where !share.isEmpty {
            do throws(PagerError) {
                let own = try await pagers[index].onCore { core, _ throws(PagerError) in
                    try core.map(share.map(plan.stripe), of: memory, handler: handler, options: options)
                }
                for (stripe, number) in zip(share, own) { numbers[stripe] = number }
            } catch {
                for (pager, share) in zip(pagers, shares.prefix(index)) where !share.isEmpty {
                    try? await pager.remove(share.map { numbers[$0] })
                }
                throw error
            }
        }
        return StripedRegion(memory: memory, name: options.name, plan: plan, numbers: numbers, group: self)
    }

    /// Write-protects pages, as ``Pager/protect(_:_:)`` does: the next write to each brings a request of kind
    /// `writeProtect`. Stripe by stripe: there is no instant at which all of them begin to be protected.
    ///
    /// - Parameters:
    ///   - region: a region of this group.
    ///   - range: whole pages of it, as addresses; nil for all.
    /// - Throws: ``PagerError``: not pages of the region, not a region for it, or refused by the kernel.
    public func protect(_ region: StripedRegion, _ range: AddressRange? = nil) async throws(PagerError) {
        guard region.group === self else { throw .notOfThisPager(region.range) }
        for (stripe, part) in try region.parts(of: range ?? region.range, "protected") {
            try await stripe.pager.protect(part, of: stripe.number)
        }
    }

    /// Takes all stripes of a region out of service, as ``Pager/unmap(_:within:)`` does: handlers' tasks are cancelled, pages that were
    /// never supplied raise SIGBUS from now on, threads that wait are let go. The memory stays mapped as long as the
    /// ``StripedRegion`` lives. Any thread; goes to the reactors' threads and back.
    ///
    /// - Parameter region: one of this group's.
    /// - Throws: ``PagerError`` when the region is not one of this group, or was unmapped before.
    public func unmap(_ region: StripedRegion) async throws(PagerError) {
        guard region.group === self else { throw .notOfThisPager(region.range) }
        var shares = [[UInt64]](repeating: [], count: pagers.count)
        for number in 0..<region.plan.stripeCount {
            shares[region.plan.pager(of: number)].append(region.stripe(number).number)
        }
        var failure: PagerError?
        for (pager, share) in zip(pagers, shares) where !share.isEmpty {
            do throws(PagerError) { try await pager.remove(share) } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }

    /// What all pagers have counted so far, together. Any thread; goes to the reactors' threads and back.
    public var statistics: PagerStatistics {
        get async {
            var sum = PagerStatistics()
            for pager in pagers { sum.add(await pager.statistics) }
            return sum
        }
    }

    /// Where the time of faults went so far, in all pagers together; nil unless it is measured
    /// (``Pager/Configuration/measuresLatency``). Any thread; goes to the reactors' threads and back.
    public var latencies: PagerLatencies? {
        get async {
            var sum: PagerLatencies?
            for pager in pagers {
                guard let own = await pager.latencies else { continue }
                sum = sum ?? PagerLatencies()
                sum?.add(own)
            }
            return sum
        }
    }

    /// Whether all pagers are reading faults. Any thread; goes to the reactors' threads and back.
    public var isServing: Bool {
        get async {
            for pager in pagers where await !pager.isServing { return false }
            return true
        }
    }

    /// Shuts all pagers down at the same time, and returns when they are: see ``Pager/shutdown(within:)``. Any task, several at a
    /// time, handlers included.
    ///
    /// - Parameter deadline: how long to wait for what is in flight, from now on. The first call's counts.
    public func shutdown(within deadline: Duration = .seconds(5)) async {
        for pager in pagers { pager.beginShutdown(within: deadline) }
        for pager in pagers { await pager.shutdown(within: deadline) }
    }

    /// Waits until the pagers have shut down. Any task, several at a time; does not begin a shutdown itself.
    ///
    /// - Throws: ``PagerError`` when one of them stopped by itself, and the others with it: because of a failure whose policy
    ///   is to stop, or an error of its descriptor.
    public func waitUntilStopped() async throws(PagerError) {
        var failure: PagerError?
        for pager in pagers {
            do throws(PagerError) { try await pager.waitUntilStopped() } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
