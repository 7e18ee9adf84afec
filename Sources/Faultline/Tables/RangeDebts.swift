package import Userfault

/// Ranges that are known to have gone while the message that says so is still to come.
///
/// The kernel tells of an unmapping after it, when the addresses may have been given out again already. A message that
/// is owed for what was there before says nothing about what is there now. For each address that has gone, exactly one
/// message comes; a range that went twice is owed two. The oldest debt is paid first.
package struct RangeDebts<Value> {
    private var entries: [(range: AddressRange, value: Value)] = []

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }
    package var ranges: [AddressRange] { entries.map(\.range) }

    /// `range` has gone, and the message is to come.
    package mutating func add(_ range: AddressRange, _ value: Value) { entries.append((range, value)) }

    /// A message has come for `range`: pays what is owed for it, once for each address. Calls `paid` with each part that
    /// was owed, and returns the parts that were not.
    package mutating func pay(_ range: AddressRange, paid: (AddressRange, Value) -> Void) -> [AddressRange] {
        guard !entries.isEmpty else { return [range] }
        var open = [range]
        var remaining: [(range: AddressRange, value: Value)] = []
        for entry in entries {
            var rests = [entry.range]
            for part in open {
                var next: [AddressRange] = []
                for rest in rests {
                    guard let common = rest.intersection(part) else {
                        next.append(rest)
                        continue
                    }
                    paid(common, entry.value)
                    next += rest.subtracting(common)
                }
                rests = next
            }
            // What this entry paid is paid; older entries come first in the list.
            open = open.flatMap { $0.subtracting(each: [entry.range]) }
            for rest in rests { remaining.append((rest, entry.value)) }
        }
        entries = remaining
        return open
    }

    /// The oldest debt that covers `address`.
    package func entry(at address: UInt) -> (range: AddressRange, value: Value)? {
        entries.first { $0.range.contains(address) }
    }

    /// Whether a debt fulfils a condition.
    package func contains(where condition: (Value) -> Bool) -> Bool {
        entries.contains { condition($0.value) }
    }

    /// The ranges of all debts that fulfil a condition.
    package func parts(where condition: (Value) -> Bool) -> [AddressRange] {
        entries.filter { condition($0.value) }.map(\.range)
    }

    /// The parts of `range` that debts fulfilling a condition cover: for each address the oldest of them.
    package func parts(
        in range: AddressRange, where condition: (Value) -> Bool
    ) -> [(range: AddressRange, value: Value)] {
        var open = [range]
        var found: [(range: AddressRange, value: Value)] = []
        for entry in entries where condition(entry.value) {
            for part in open {
                if let common = entry.range.intersection(part) { found.append((common, entry.value)) }
            }
            open = open.flatMap { $0.subtracting(each: [entry.range]) }
        }
        return found
    }

    /// Replaces what is owed for `part`: for each address the oldest debt for which `replacement` returns something.
    package mutating func replace(_ part: AddressRange, _ replacement: (Value) -> Value?) {
        var open = [part]
        var result: [(range: AddressRange, value: Value)] = []
        for entry in entries {
            var rests = [entry.range]
            for part in open {
                guard let common = entry.range.intersection(part), let value = replacement(entry.value) else {
                    continue
                }
                result.append((common, value))
                rests = rests.flatMap { $0.subtracting(each: [common]) }
                open = open.flatMap { $0.subtracting(each: [common]) }
            }
            for rest in rests { result.append((rest, entry.value)) }
        }
        entries = result
    }

    /// Replaces what every debt stands for where `replacement` returns something.
    package mutating func replaceAll(_ replacement: (Value) -> Value?) {
        for index in entries.indices {
            if let value = replacement(entries[index].value) { entries[index].value = value }
        }
    }
}

extension AddressRange {
    /// What none of `others` covers, in ascending order.
    package func subtracting(each others: [AddressRange]) -> [AddressRange] {
        var rests = [self]
        for other in others {
            rests = rests.flatMap { rest in rest.intersection(other).map { rest.subtracting($0) } ?? [rest] }
        }
        return rests
    }
}
