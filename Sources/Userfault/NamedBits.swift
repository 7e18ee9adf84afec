/// An option set that prints its members by name, and bits it has no name for in hexadecimal.
protocol NamedBits: OptionSet where RawValue == UInt64 {
    static var names: [(bits: UInt64, name: String)] { get }
}

extension NamedBits {
    var list: String {
        var left = rawValue
        var parts: [String] = []
        for (bits, name) in Self.names where left & bits == bits {
            parts.append(name)
            left &= ~bits
        }
        if left != 0 { parts.append("0x\(String(left, radix: 16))") }
        return "[\(parts.joined(separator: ", "))]"
    }
}
