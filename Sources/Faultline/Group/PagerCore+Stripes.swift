import EventReactor
import Userfault

extension PagerCore {
    /// Takes stripes of one mapping into service, all or none of them: the numbers they are known by.
    func map(
        _ stripes: [AddressRange], of memory: MappedMemory, handler: any FaultHandler, options: RegionOptions
    ) throws(PagerError) -> [UInt64] {
        guard lifecycle == .serving else { throw .shutDown() }
        let whole = memory.mapping.range
        if !registered.isShared(whole) { try makeRoom(for: whole, isFresh: true) }
        let pool = PageBufferPool(pageSize: memory.pageSize, usesHugePages: options.fillsHugePages)
        var numbers: [UInt64] = []
        do throws(PagerError) {
            for stripe in stripes {
                let region = RegionState(
                    mapping: memory.mapping, stripe: stripe, ownsMemory: true, pageSize: memory.pageSize,
                    memoryKind: memory.kind, handler: watched(handler), options: options, pool: pool)
                region.hasOnlySuppliedPages = memory.isFresh && options.modes.contains(.missing)
                try register(region)
                name(region)
                enter(region)
                enlist(region.family)
                region.family.whole = whole
                registered.share(whole, with: self)
                numbers.append(region.family.number)
            }
        } catch {
            try remove(numbers)
            throw error
        }
        return numbers
    }

    /// A stripe of `whole` has been taken out of service.
    func leave(_ whole: AddressRange?) {
        if let whole { registered.unshare(whole) }
    }
}

// Of a striped region all is registered on each reactor that has a stripe of it: nothing is copied from any stripe, since a
// handler that did would wait for a thread that may itself be waiting for this one.
extension RegisteredRanges {
    func isShared(_ whole: AddressRange) -> Bool { shares[whole.start] != nil }

    /// One more stripe of `whole` is served here.
    func share(_ whole: AddressRange, with core: PagerCore) {
        if shares[whole.start] == nil { _ = index.insert(Owner(core: core, isShared: true), for: whole) }
        shares[whole.start, default: 0] += 1
    }

    /// One less is.
    func unshare(_ whole: AddressRange) {
        let count = shares[whole.start, default: 1] - 1
        shares[whole.start] = count == 0 ? nil : count
        if count == 0 { _ = index.carve(whole) }
    }
}
