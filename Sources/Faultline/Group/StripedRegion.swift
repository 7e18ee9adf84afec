public import Userfault

/// A range of memory whose pages come from a handler, the first time a thread touches them, divided into stripes that the
/// reactors of a group serve at the same time.
///
/// Made by ``PagerGroup/map(byteCount:handler:options:layout:)``, and used like a ``Region``. The memory stays mapped as long as
/// this object lives, and as long as the group serves it. After the group has shut down, pages that were supplied stay
/// readable and writable; touching one that was not raises SIGBUS.
///
/// There are no snapshots of it, and no dirty tracking: neither has an instant that all reactors share.
///
/// Its properties may be read on any thread; that neither blocks nor touches the memory.
public final class StripedRegion: Sendable {
    /// The addresses of the region.
    public let range: AddressRange
    /// The size of its pages in bytes.
    public let pageSize: Int
    /// Its name in messages and reports.
    public let name: String
    /// The group that serves it.
    public let group: PagerGroup
    let plan: StripeLayout.Plan
    /// What their pagers know the stripes by.
    private let numbers: [UInt64]
    let mapping: Mapping

    init(memory: MappedMemory, name: String, plan: StripeLayout.Plan, numbers: [UInt64], group: PagerGroup) {
        range = memory.mapping.range
        pageSize = memory.pageSize
        mapping = memory.mapping
        self.name = name
        self.plan = plan
        self.numbers = numbers
        self.group = group
    }

    /// The length in bytes, a whole number of pages.
    public var byteCount: Int { range.byteCount }
    /// The length in pages.
    public var pageCount: Int { range.byteCount / pageSize }
    /// The length of a stripe in bytes, a whole number of pages; the last one may be shorter.
    public var stripeByteCount: Int { plan.stripeByteCount }

    /// The stripes, in ascending order.
    public var stripes: some RandomAccessCollection<Stripe> & Sendable { Stripes(region: self) }

    /// The stripe that contains a byte.
    ///
    /// - Parameter offset: bytes from the start of the region.
    /// - Precondition: the byte lies within the region.
    public func stripe(atByteOffset offset: Int) -> Stripe {
        precondition(offset >= 0 && offset < byteCount, "Faultline: byte \(offset) is outside of the region")
        return stripe(offset / plan.stripeByteCount)
    }

    func stripe(_ number: Int) -> Stripe {
        Stripe(
            range: plan.stripe(number), pageSize: pageSize, name: name,
            pager: group.pagers[plan.pager(of: number)], index: plan.reactor(of: number),
            number: numbers[number])
    }

    /// What of each stripe lies in `range`, which must be whole pages of the region.
    func parts(of part: AddressRange, _ what: String) throws(PagerError) -> [(Stripe, AddressRange)] {
        guard !part.isEmpty, part.isAligned(to: pageSize), range.contains(part) else {
            throw PagerError(.invalidRange, "only whole pages of the region can be \(what)", range: part)
        }
        return plan.indices(of: part).compactMap { number in
            let stripe = stripe(number)
            return stripe.range.intersection(part).map { (stripe, $0) }
        }
    }
}

/// A part of a ``StripedRegion`` that one reactor serves.
///
/// What can be asked of every region is asked of it: to be prefetched, advised about, recorded.
public struct Stripe: ServedRegion {
    /// The addresses of the stripe.
    public let range: AddressRange
    /// The size of its pages in bytes.
    public let pageSize: Int
    /// The name of its region.
    public let name: String
    /// The pager that serves it.
    public let pager: Pager
    /// The index of its reactor in the group.
    public let index: Int
    let number: UInt64
}

/// The stripes of a region, made when they are asked for.
private struct Stripes: RandomAccessCollection, Sendable {
    let region: StripedRegion

    var startIndex: Int { 0 }
    var endIndex: Int { region.plan.stripeCount }
    subscript(position: Int) -> Stripe { region.stripe(position) }
}
