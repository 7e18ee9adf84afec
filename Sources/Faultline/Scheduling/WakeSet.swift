package import Userfault

/// The ranges whose waiting threads are to be woken at the end of a turn, merged as they come in ascending order.
package struct WakeSet {
    package private(set) var ranges: [AddressRange] = []

    package init() {}

    package var isEmpty: Bool { ranges.isEmpty }

    /// Adds `range`; `bridge(gap)` says whether the wake may also cover the gap between it and the range before.
    /// A wake over pages that nobody waits for costs nothing; over pages still in flight it would make their
    /// threads fault again for nothing.
    package mutating func add(_ range: AddressRange, bridge: (AddressRange) -> Bool) {
        guard let last = ranges.last, last.start <= range.start else {
            ranges.append(range)
            return
        }
        if range.start > last.end {
            let gap = AddressRange(start: last.end, byteCount: Int(range.start - last.end))
            guard bridge(gap) else {
                ranges.append(range)
                return
            }
        }
        let end = max(last.end, range.end)
        ranges[ranges.count - 1] = AddressRange(start: last.start, byteCount: Int(end - last.start))
    }

    package mutating func removeAll() { ranges.removeAll(keepingCapacity: true) }
}
