package import Userfault

/// The ranges whose waiting threads are to be woken at the end of a turn, merged as they come.
package struct WakeSet {
    /// The range that grows; empty when there is none.
    private var current = AddressRange(start: 0, byteCount: 0)
    private var earlier: [AddressRange] = []

    package init() {}

    package var isEmpty: Bool { current.isEmpty }

    package var count: Int { isEmpty ? 0 : earlier.count + 1 }

    package subscript(index: Int) -> AddressRange { index < earlier.count ? earlier[index] : current }

    /// The addresses between the last range and `range`, when they do not touch.
    package func gap(to range: AddressRange) -> AddressRange? {
        guard !current.isEmpty else { return nil }
        if range.start > current.end {
            return AddressRange(start: current.end, byteCount: Int(range.start - current.end))
        }
        guard current.start > range.end else { return nil }
        return AddressRange(start: range.end, byteCount: Int(current.start - range.end))
    }

    /// Adds `range` as a wake of its own.
    package mutating func add(_ range: AddressRange) {
        if !current.isEmpty { earlier.append(current) }
        current = range
    }

    /// Adds `range` and what lies between it and the last range, as one wake. A wake over pages that nobody waits for
    /// costs nothing; over pages still in flight it would make their threads fault again for nothing.
    package mutating func extend(to range: AddressRange) {
        guard !current.isEmpty else {
            current = range
            return
        }
        let start = min(current.start, range.start)
        let end = max(current.end, range.end)
        current = AddressRange(start: start, byteCount: Int(end - start))
    }

    package mutating func removeAll() {
        if !earlier.isEmpty { earlier.removeAll(keepingCapacity: true) }
        current = AddressRange(start: 0, byteCount: 0)
    }
}
