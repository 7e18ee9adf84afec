/// Replies, one after the other, as bytes.
public struct Reply: Sendable {
    /// What is to be sent.
    public private(set) var bytes: [UInt8] = []

    /// No reply yet.
    public init() {}

    /// A word, such as `OK`.
    public mutating func word(_ text: String) { line("+", text) }

    /// An error; its first word is its kind.
    public mutating func error(_ text: String) {
        line("-", String(text.map { $0.isNewline ? " " : $0 }))
    }

    /// A number.
    public mutating func number(_ value: Int) { line(":", String(value)) }

    /// The start of an array, whose elements follow.
    public mutating func array(_ count: Int) { line("*", String(count)) }

    /// Bytes, or none.
    public mutating func bulk(_ value: [UInt8]?) {
        guard let value else { return line("$", "-1") }
        line("$", String(value.count))
        bytes.append(contentsOf: value)
        bytes.append(contentsOf: [13, 10])
    }

    /// Bytes that are read from a store.
    mutating func value(of key: [UInt8], in store: Store<some StoreMemory>) throws(StoreError) {
        var isThere = false
        try store.read(key, into: &bytes) { length, bytes in
            isThere = length != nil
            bytes.append(contentsOf: Array("$\(length ?? -1)\r\n".utf8))
        }
        if isThere { bytes.append(contentsOf: [13, 10]) }
    }

    /// Adds replies that were made elsewhere.
    public mutating func add(_ other: Reply) { bytes.append(contentsOf: other.bytes) }

    /// Takes back everything from a point on.
    mutating func truncate(to count: Int) { bytes.removeLast(bytes.count - count) }

    private mutating func line(_ kind: String, _ text: String) {
        bytes.append(contentsOf: kind.utf8)
        bytes.append(contentsOf: text.utf8)
        bytes.append(contentsOf: [13, 10])
    }
}
