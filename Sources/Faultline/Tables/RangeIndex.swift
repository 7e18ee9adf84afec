package import Userfault

/// Values by the address range they stand for, no two of which overlap: found by address in logarithmic time.
package struct RangeIndex<Value> {
    private var starts: [UInt] = []
    private var entries: [(range: AddressRange, value: Value)] = []
    /// Addresses between two ranges: those that were asked about last, and their surroundings.
    private var gap: ClosedRange<UInt>?

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

    /// The range that contains an address, with its value.
    package func entry(at address: UInt) -> (range: AddressRange, value: Value)? {
        let index = position(address)
        guard index >= 0, entries[index].range.contains(address) else { return nil }
        return entries[index]
    }

    /// The last range that ends at or before `address`, with its value.
    package func entry(before address: UInt) -> (range: AddressRange, value: Value)? {
        let index = position(address)
        guard index >= 0 else { return nil }
        if entries[index].range.end <= address { return entries[index] }
        return index > 0 ? entries[index - 1] : nil
    }

    /// Where the first range after `address` starts.
    package func start(after address: UInt) -> UInt? {
        let index = position(address) + 1
        return index < starts.count ? starts[index] : nil
    }

    /// Calls `body` with each range and its value, in ascending order.
    package func forEach(_ body: (AddressRange, Value) -> Void) {
        for entry in entries { body(entry.range, entry.value) }
    }

    /// The parts of `range` that have values, in ascending order.
    package func parts(in range: AddressRange) -> [(range: AddressRange, value: Value)] {
        var index = max(position(range.start), 0)
        var found: [(range: AddressRange, value: Value)] = []
        while index < entries.count, entries[index].range.start < range.end {
            if let part = entries[index].range.intersection(range) {
                found.append((part, entries[index].value))
            }
            index += 1
        }
        return found
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

    /// Whether a range overlaps `range`. Once that is known of addresses that none does, it is known of those
    /// around them as well, without a search.
    package mutating func overlaps(_ range: AddressRange) -> Bool {
        let last = range.end &- 1
        if let gap, gap.contains(range.start), gap.contains(last) { return false }
        return search(range, last)
    }

    @inline(never)
    private mutating func search(_ range: AddressRange, _ last: UInt) -> Bool {
        guard firstOverlap(range) == nil else { return true }
        guard range.start <= last else { return false }
        let start = entry(before: range.start)?.range.end ?? 0
        let end = self.start(after: last).map { $0 - 1 } ?? UInt.max
        gap = start...end
        return false
    }

    /// Adds `value` for `range`; false, and nothing changed, when another range overlaps it.
    package mutating func insert(_ value: Value, for range: AddressRange) -> Bool {
        guard firstOverlap(range) == nil else { return false }
        let index = position(range.start) + 1
        gap = nil
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

    /// Removes the ranges whose value fulfils a condition.
    package mutating func removeAll(where condition: (Value) -> Bool) {
        entries.removeAll { condition($0.value) }
        starts = entries.map(\.range.start)
    }

    /// Takes `range` out: of an entry that sticks out of it, what sticks out stays with its value. Returns what was
    /// taken, in ascending order.
    package mutating func carve(_ range: AddressRange) -> [(range: AddressRange, value: Value)] {
        guard !range.isEmpty else { return [] }
        var first = max(position(range.start), 0)
        if first < entries.count, !entries[first].range.overlaps(range) { first += 1 }
        var last = first
        var taken: [(range: AddressRange, value: Value)] = []
        var kept: [(range: AddressRange, value: Value)] = []
        while last < entries.count, let part = entries[last].range.intersection(range) {
            let (whole, value) = entries[last]
            taken.append((part, value))
            for rest in whole.subtracting(part) { kept.append((rest, value)) }
            last += 1
        }
        entries.replaceSubrange(first..<last, with: kept)
        starts.replaceSubrange(first..<last, with: kept.map(\.range.start))
        return taken
    }
}

extension AddressRange {
    /// What of this range lies before and after `part`, which it contains.
    package func subtracting(_ part: AddressRange) -> [AddressRange] {
        var rest: [AddressRange] = []
        if part.start > start { rest.append(AddressRange(start: start, byteCount: Int(part.start - start))) }
        if part.end < end { rest.append(AddressRange(start: part.end, byteCount: Int(end - part.end))) }
        return rest
    }
}
