/// Takes numbers and bytes out of the contents of a handshake's frame, which are short.
struct ByteReader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func take(_ count: Int) throws(FrameError) -> [UInt8] {
        guard count <= bytes.count - position else { throw .badHandshake("it is too short") }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func number<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(FrameError) -> T {
        var value: T = 0
        for (index, byte) in try take(T.bitWidth / 8).enumerated() {
            value |= T(truncatingIfNeeded: byte) << T(8 * index)
        }
        return value
    }

    func end() throws(FrameError) {
        guard position == bytes.count else { throw .badHandshake("it is too long") }
    }
}

extension [UInt8] {
    /// Appends a number, least significant byte first.
    mutating func append<T: FixedWidthInteger>(number: T) {
        for shift in stride(from: 0, to: T.bitWidth, by: 8) {
            append(UInt8(truncatingIfNeeded: number >> T(shift)))
        }
    }
}
