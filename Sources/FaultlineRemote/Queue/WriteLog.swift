/// Writes that a server has acknowledged, and that are not known to be durable: what has to be written again when it comes back
/// as another instance.
///
/// They are kept in the order of their acknowledgement. Overlapping ones are acknowledged in the order in which they were done
/// (see ``RequestQueue``), so that doing all of them again, in order, makes the same bytes.
package struct WriteLog<Payload> {
    package struct Entry {
        /// How many were acknowledged before it, ever.
        package let number: UInt64
        package let range: Range<Int>
        /// What was written; nil for a trim.
        package let payload: Payload?
    }

    package private(set) var entries: [Entry] = []
    /// Bytes of what was written, as long as it is kept.
    package private(set) var byteCount = 0
    /// The memory that all of it takes, roughly: small writes take more than their bytes.
    package private(set) var memoryByteCount = 0
    /// The number of the next entry.
    package private(set) var nextNumber: UInt64 = 0

    package init() {}

    package var isEmpty: Bool { entries.isEmpty }

    package mutating func append(_ range: Range<Int>, _ payload: Payload?) {
        entries.append(Entry(number: nextNumber, range: range, payload: payload))
        nextNumber += 1
        account(entries[entries.count - 1], 1)
    }

    /// Forgets the entries before a number: they are durable.
    package mutating func forget(before number: UInt64) {
        let count = entries.firstIndex { $0.number >= number } ?? entries.count
        for entry in entries[..<count] { account(entry, -1) }
        entries.removeFirst(count)
    }

    private mutating func account(_ entry: Entry, _ sign: Int) {
        if entry.payload != nil { byteCount += sign * entry.range.count }
        memoryByteCount += sign * (entry.payload == nil ? 256 : max(entry.range.count, 4096))
    }
}
