/// Reads the fields of a protocol buffers message one by one, whatever they are. Nothing is copied; nested messages are read
/// with a reader of their own.
public struct ProtobufReader: Sendable {
    /// What a field holds.
    public enum Value: Hashable, Sendable {
        /// An integer of any kind, a boolean or an enumeration.
        case varint(UInt64)
        /// Eight bytes, or four: a fixed-size integer or a floating-point number.
        case fixed(UInt64)
        /// Bytes, text, a nested message or packed numbers: where they lie.
        case bytes(Range<Int>)
    }

    /// A field of the message.
    public struct Field: Hashable, Sendable {
        /// Its number, from 1 to 536870911.
        public var number: Int
        /// What it holds.
        public var value: Value
        /// Where it begins.
        public var offset: Int
    }

    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    /// A reader of the message that the bytes `range` are.
    ///
    /// - Precondition: the range lies within the bytes.
    public init(_ bytes: [UInt8], _ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= bytes.count)
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
    }

    /// The next field; nil at the end of the message.
    ///
    /// - Throws: ``ImageError``: no field begins here, or the message ends in the middle of it.
    public mutating func next() throws(ImageError) -> Field? {
        guard position < end else { return nil }
        let start = position
        let tag = try varint()
        guard tag >> 3 >= 1, tag >> 3 < 1 << 29 else {
            throw ImageError(.malformed, "\(tag >> 3) is no number of a field", at: start)
        }
        let value: Value
        switch tag & 7 {
        case 0: value = .varint(try varint())
        case 1: value = .fixed(try fixed(8))
        case 2:
            let count = try varint()
            guard count <= UInt64(end - position) else {
                throw ImageError(.truncated, "\(count) bytes do not fit into the message", at: start)
            }
            value = .bytes(position..<position + Int(count))
            position += Int(count)
        case 5: value = .fixed(try fixed(4))
        default:
            // Groups, which nobody writes any more, and what does not exist.
            throw ImageError(.malformed, "a field has the type \(tag & 7)", at: start)
        }
        return Field(number: Int(tag >> 3), value: value, offset: start)
    }

    private mutating func varint() throws(ImageError) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else {
                throw ImageError(.truncated, "the message ends within a number", at: start)
            }
            let byte = bytes[position]
            position += 1
            // The tenth byte has one bit.
            if shift == 63, byte > 1 { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
        }
        throw ImageError(.malformed, "a number has more than 64 bits", at: start)
    }

    private mutating func fixed(_ count: Int) throws(ImageError) -> UInt64 {
        guard count <= end - position else {
            throw ImageError(.truncated, "the message ends within a number", at: position)
        }
        let value = bytes.integer(at: position, byteCount: count)
        position += count
        return value
    }
}

extension ProtobufReader.Field {
    /// The value of a field that must be an integer.
    func integer() throws(ImageError) -> UInt64 {
        guard case .varint(let value) = value else {
            throw ImageError(.malformed, "field \(number) is no integer", at: offset)
        }
        return value
    }

    /// The same, of no more than 32 bits.
    func integer32() throws(ImageError) -> UInt32 {
        let value = try integer()
        guard let narrow = UInt32(exactly: value) else {
            throw ImageError(.outOfRange, "\(value) in field \(number) has more than 32 bits", at: offset)
        }
        return narrow
    }

    /// Where the message lies that a field must be.
    func message() throws(ImageError) -> Range<Int> {
        guard case .bytes(let range) = value else {
            throw ImageError(.malformed, "field \(number) is no message", at: offset)
        }
        return range
    }
}

extension [UInt8] {
    /// A little-endian number.
    func integer(at offset: Int, byteCount: Int) -> UInt64 {
        self[offset..<offset + byteCount].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
