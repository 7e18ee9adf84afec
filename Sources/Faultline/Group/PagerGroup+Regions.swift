internal import EventReactor
public import Userfault

extension PagerGroup {
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
}
