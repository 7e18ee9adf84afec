/// What a target takes from the bytes that libFuzzer makes up: all of them mean something, so that none is wasted.
struct Input {
    private var bytes: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.bytes = bytes[...] }

    init(_ start: UnsafePointer<UInt8>?, _ count: Int) {
        self.init([UInt8](UnsafeBufferPointer(start: start, count: count)))
    }

    var isEmpty: Bool { bytes.isEmpty }

    /// The next byte; 0 at the end.
    mutating func byte() -> Int { Int(bytes.popFirst() ?? 0) }

    /// A number of so many bytes, the least significant one first.
    mutating func number(_ byteCount: Int) -> UInt64 {
        (0..<byteCount).reduce(0) { $0 | UInt64(byte()) << (8 * UInt64($1)) }
    }

    /// Some bytes, as many as the next one says.
    mutating func run() -> [UInt8] {
        let count = byte()
        defer { bytes = bytes.dropFirst(count) }
        return Array(bytes.prefix(count))
    }

    /// All that is left.
    mutating func rest() -> [UInt8] {
        defer { bytes = [] }
        return Array(bytes)
    }
}

/// Cuts bytes into pieces, as a stream may: the way depends on a number.
func pieces(of bytes: [UInt8], _ way: Int) -> [[UInt8]] {
    var state = UInt64(way)
    var pieces: [[UInt8]] = []
    var position = 0
    while position < bytes.count {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        let end = min(bytes.count, position + 1 + Int(state >> 33) % (way % 16 + 1))
        pieces.append(Array(bytes[position..<end]))
        position = end
    }
    return pieces
}

/// Some bytes again and again, for what must take time in proportion to the length: libFuzzer's limit is what ends anything else. For one
/// in 256 inputs, since it takes so long; nil for the others.
func repeated(_ bytes: [UInt8], to count: Int) -> [UInt8]? {
    guard !bytes.isEmpty, bytes.reduce(0 as UInt32, { ($0 ^ UInt32($1)) &* 0x0100_0193 }) >> 24 == 0 else {
        return nil
    }
    return Array(repeatElement(bytes, count: count / bytes.count).joined())
}

/// Says what does not hold; libFuzzer keeps the input.
func check(_ holds: Bool, _ claim: @autoclosure () -> String, line: UInt = #line) {
    precondition(holds, "line \(line): \(claim())")
}

func check(_ bytes: [UInt8], _ again: [UInt8]?) {
    check(again == nil || again == bytes, "decoded and encoded again, it is something else")
}
