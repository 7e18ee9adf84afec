/// What a descriptor is ready for, or is watched for.
public struct Readiness: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits, as libevent numbers them.
    public var rawValue: Int16

    /// Makes a set from its bits; unknown bits are kept.
    public init(rawValue: Int16) {
        self.rawValue = rawValue
    }

    /// `read` will not block: data, end of file, or an error is there. The corresponding C constant is `EV_READ`.
    public static let readable = Readiness(rawValue: 0x02)
    /// `write` will not block, or an error is there. The corresponding C constant is `EV_WRITE`.
    public static let writable = Readiness(rawValue: 0x04)

    /// The names of the bits that are set.
    public var description: String {
        var names: [String] = []
        if contains(.readable) { names.append("readable") }
        if contains(.writable) { names.append("writable") }
        let unknown = subtracting([.readable, .writable]).rawValue
        if unknown != 0 { names.append("0x" + String(UInt16(bitPattern: unknown), radix: 16)) }
        return "[" + names.joined(separator: ", ") + "]"
    }
}

/// When a descriptor that is ready for reading is reported.
public enum ReadinessTrigger: Hashable, Sendable {
    /// In every turn, as long as something is there to read.
    case level
    /// Once when something arrives (`EPOLLET`), which spares the kernel a look at the descriptor in every turn. Whoever
    /// leaves something unread is not told of it again: read until nothing is left, or come back unasked.
    case edge
}
