package import Userfault

/// The ranges whose waiting threads are to be woken at the end of a turn, merged as they come in ascending order.
package struct WakeSet {
    package private(set) var ranges: [AddressRange] = []

    package init() {}

    package var isEmpty: Bool { ranges.isEmpty }

    /// The addresses between the last range and `range`, when that comes after it and does not touch it.
    package func gap(before range: AddressRange) -> AddressRange? {
        guard let last = ranges.last, last.start <= range.start else { return nil }
        return range.start > last.end
            ? AddressRange(start: last.end, byteCount: Int(range.start - last.end)) : nil
    }

    /// Adds `range` as a wake of its own.
    package mutating func add(_ range: AddressRange) {
        ranges.append(range)
    }

    /// Adds `range` and what lies between it and the last range, as one wake. A wake over pages that nobody waits for
    /// costs nothing; over pages still in flight it would make their threads fault again for nothing.
    package mutating func extend(to range: AddressRange) {
        guard let last = ranges.last, last.start <= range.start else { return add(range) }
        let end = max(last.end, range.end)
        ranges[ranges.count - 1] = AddressRange(start: last.start, byteCount: Int(end - last.start))
    }

    package mutating func removeAll() { ranges.removeAll(keepingCapacity: true) }
}
