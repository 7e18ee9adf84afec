package import Userfault

/// Values by the address range they stand for, no two of which overlap: found by address in logarithmic time.
package struct RangeIndex<Value> {
    private var starts: [UInt] = []
    private var entries: [(range: AddressRange, value: Value)] = []

    package init() {}

    package var count: Int { entries.count }
    package var isEmpty: Bool { entries.isEmpty }
    package var values: [Value] { entries.map(\.value) }

    /// The position of the last range that starts at or before `address`, or -1.
    private func position(_ address: UInt) -> Int {
        var low = 0
        var high = starts.count
        while low < high {
            let middle = (low + high) >> 1
            if starts[middle] <= address { low = middle + 1 } else { high = middle }
        }
        return low - 1
    }

    /// The value whose range contains `address`.
    package func value(at address: UInt) -> Value? {
        let index = position(address)
        guard index >= 0, entries[index].range.contains(address) else { return nil }
        return entries[index].value
    }

    /// The first range that overlaps `range`.
    package func firstOverlap(_ range: AddressRange) -> AddressRange? {
        let index = position(range.start)
        if index >= 0, entries[index].range.overlaps(range) { return entries[index].range }
        if index + 1 < entries.count, entries[index + 1].range.overlaps(range) {
            return entries[index + 1].range
        }
        return nil
    }

    /// Adds `value` for `range`; false, and nothing changed, when another range overlaps it.
    package mutating func insert(_ value: Value, for range: AddressRange) -> Bool {
        guard firstOverlap(range) == nil else { return false }
        let index = position(range.start) + 1
        starts.insert(range.start, at: index)
        entries.insert((range, value), at: index)
        return true
    }

    /// Removes the value that stands for exactly this range.
    @discardableResult
    package mutating func remove(_ range: AddressRange) -> Value? {
        let index = position(range.start)
        guard index >= 0, entries[index].range == range else { return nil }
        starts.remove(at: index)
        return entries.remove(at: index).value
    }
}
