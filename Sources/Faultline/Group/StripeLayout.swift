package import Userfault

/// How a region is divided between the reactors of a ``PagerGroup``.
///
/// Stripes are runs of pages of the same length; each is served by one reactor, so faults of stripes of different reactors are
/// served at the same time. Threads that touch pages in any order keep all reactors busy with stripes of any length. A thread
/// that reads from one end to the other has read-ahead start anew in each stripe: longer stripes suit it better. A stripe costs an
/// entry of the process's memory map, of which there are some 65,000 (`vm.max_map_count`), and about a kibibyte.
public struct StripeLayout: Hashable, Sendable {
    /// Which reactor serves which stripe.
    public enum Placement: Hashable, Sendable {
        /// One after the other.
        case inTurn
        /// The reactors of these indices, one after the other; then again from the first.
        ///
        /// With one index, the whole region belongs to one reactor. With stripes as long as the part of the region that one
        /// thread works on, and reactors that are pinned (`ReactorGroup.Configuration.pinning`), each part can be served on
        /// the processor of its thread, where handing a fault over and back is cheapest.
        case pattern([Int])
    }

    /// The length of a stripe in bytes, rounded up to pages; nil for a length that suits the region: as many stripes as
    /// pagers at least, of 4 MiB where there are more, and longer ones where these would be more than 1024.
    public var stripeByteCount: Int?
    /// Which reactor serves which stripe.
    public var placement: Placement

    /// A layout. The parameters are the properties of the same names.
    public init(stripeByteCount: Int? = nil, placement: Placement = .inTurn) {
        self.stripeByteCount = stripeByteCount
        self.placement = placement
    }

    /// Stripes in turn, of a length that suits the region.
    public static let automatic = StripeLayout()

    package static let usualByteCount = 4 << 20
    package static let usualMostStripes = 1024
}

extension StripeLayout {
    /// A layout, applied to a region.
    package struct Plan: Hashable {
        package let range: AddressRange
        package let stripeByteCount: Int
        /// The indices of the reactors whose turn it is, again and again.
        package let turns: [Int]
        package let reactorCount: Int
        package let pagersPerReactor: Int

        package var stripeCount: Int { (range.byteCount + stripeByteCount - 1) / stripeByteCount }

        /// The addresses of a stripe; the last one may be shorter.
        package func stripe(_ index: Int) -> AddressRange {
            let offset = index * stripeByteCount
            return AddressRange(
                start: range.start + UInt(offset), byteCount: min(stripeByteCount, range.byteCount - offset))
        }

        /// The stripe that contains an address of the region.
        package func index(of address: UInt) -> Int { Int(address - range.start) / stripeByteCount }

        /// The index of the reactor that serves a stripe.
        package func reactor(of stripe: Int) -> Int { turns[stripe % turns.count] }

        /// The index of the pager that serves a stripe. Those of a reactor take turns, too.
        package func pager(of stripe: Int) -> Int {
            guard pagersPerReactor > 1 else { return reactor(of: stripe) }
            let (round, place) = stripe.quotientAndRemainder(dividingBy: turns.count)
            let own = turns[place]
            let before =
                round * turns.count(where: { $0 == own }) + turns[..<place].count(where: { $0 == own })
            return own + before % pagersPerReactor * reactorCount
        }

        /// The stripes that a part of the region touches.
        package func indices(of part: AddressRange) -> Range<Int> {
            part.isEmpty ? 0..<0 : index(of: part.start)..<index(of: part.end - 1) + 1
        }
    }

    /// How a region of `range` is divided between `count` reactors.
    ///
    /// - Throws: ``PagerError`` when the stripes cannot be, or a reactor is not one of the group.
    package func plan(
        _ range: AddressRange, pageSize: Int, reactors count: Int, pagersPerReactor: Int = 1
    ) throws(PagerError) -> Plan {
        let turns: [Int]
        switch placement {
        case .inTurn: turns = Array(0..<count)
        case .pattern(let pattern): turns = pattern
        }
        guard !turns.isEmpty, turns.allSatisfy({ $0 >= 0 && $0 < count }) else {
            throw PagerError(
                .badLayout, "stripes can only be placed on the group's reactors, which are 0 to \(count - 1)")
        }
        let wanted =
            stripeByteCount ?? Self.usualLength(range.byteCount, shares: Set(turns).count * pagersPerReactor)
        guard wanted > 0 else { throw PagerError(.badLayout, "a stripe cannot have \(wanted) bytes") }
        // Longer than the region is as long as the region.
        let pages =
            min(wanted, range.byteCount) / pageSize + (min(wanted, range.byteCount) % pageSize == 0 ? 0 : 1)
        return Plan(
            range: range, stripeByteCount: pages * pageSize, turns: turns, reactorCount: count,
            pagersPerReactor: pagersPerReactor)
    }

    private static func usualLength(_ byteCount: Int, shares: Int) -> Int {
        let share = byteCount / shares + (byteCount % shares == 0 ? 0 : 1)
        let least = byteCount / usualMostStripes + (byteCount % usualMostStripes == 0 ? 0 : 1)
        return max(min(share, usualByteCount), least)
    }
}
