/// Bytes that are no trace, or not one of this library's.
public struct TouchTraceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong with them.
    public enum Reason: Hashable, Sendable {
        /// They do not begin as a trace does.
        case notATrace
        /// A later version of the format.
        case unknownVersion(Int)
        /// They end too early, go on too long, or say what cannot be.
        case malformed
        /// They are not what was written: the checksum differs.
        case damaged
    }

    /// What is wrong with them.
    public let reason: Reason

    /// A sentence.
    public var description: String {
        switch reason {
        case .notATrace: "these bytes are not a trace of touches"
        case .unknownVersion(let version): "version \(version) of the trace's format is not known here"
        case .malformed: "the trace is malformed; record it anew"
        case .damaged: "the trace is damaged (its checksum differs); record it anew"
        }
    }
}

// "FLTT", the version (1), then numbers of seven bits a byte, low ones first: the page size, the number of runs, and for each the
// distance of its first page from the end of the one before (zigzag) and its length. At the end 8 bytes, low ones first: FNV-1a of
// all before.
extension TouchTrace {
    private static let magic: [UInt8] = [0x46, 0x4C, 0x54, 0x54]
    private static let version: UInt8 = 1

    /// The trace as bytes, a few for each run; ``init(decoding:)`` reads them. Any thread.
    public func encoded() -> [UInt8] {
        var bytes = Self.magic + [Self.version]
        Self.append(UInt64(pageSize), to: &bytes)
        Self.append(UInt64(runs.count), to: &bytes)
        var position = 0
        for run in runs {
            let distance = run.lowerBound - position
            Self.append(UInt64(bitPattern: Int64(distance << 1 ^ distance >> 63)), to: &bytes)
            Self.append(UInt64(run.count), to: &bytes)
            position = run.upperBound
        }
        let sum = Self.checksum(bytes[...])
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: sum >> shift)) }
        return bytes
    }

    /// Reads what ``encoded()`` wrote. Any thread; whatever the bytes are, no more is allocated than they are long.
    ///
    /// - Throws: ``TouchTraceError`` when they are something else.
    public init(decoding bytes: [UInt8]) throws(TouchTraceError) {
        guard bytes.starts(with: Self.magic) else { throw TouchTraceError(reason: .notATrace) }
        guard bytes.count >= 13 else { throw TouchTraceError(reason: .malformed) }
        guard bytes[4] == Self.version else { throw TouchTraceError(reason: .unknownVersion(Int(bytes[4]))) }
        let body = bytes.dropLast(8)
        var sum: UInt64 = 0
        for byte in bytes.suffix(8).reversed() { sum = sum << 8 | UInt64(byte) }
        guard sum == Self.checksum(body) else { throw TouchTraceError(reason: .damaged) }
        var rest = body.dropFirst(5)
        let pageSize = try Self.number(&rest)
        let count = try Self.number(&rest)
        guard pageSize > 0, count <= rest.count / 2 else { throw TouchTraceError(reason: .malformed) }
        self.pageSize = pageSize
        runs.reserveCapacity(count)
        var position = 0
        for _ in 0..<count {
            let folded = try Self.number(&rest)
            let distance = folded >> 1 ^ -(folded & 1)
            let length = try Self.number(&rest)
            let (start, startOverflows) = position.addingReportingOverflow(distance)
            let (end, endOverflows) = start.addingReportingOverflow(length)
            guard !startOverflows, !endOverflows, start >= 0, length > 0, end <= Int.max / pageSize else {
                throw TouchTraceError(reason: .malformed)
            }
            runs.append(start..<end)
            position = end
        }
        guard rest.isEmpty else { throw TouchTraceError(reason: .malformed) }
    }

    private static func append(_ number: UInt64, to bytes: inout [UInt8]) {
        var number = number
        while number >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: number) | 0x80)
            number >>= 7
        }
        bytes.append(UInt8(number))
    }

    /// The next number; what does not fit 63 bits is none.
    private static func number(_ bytes: inout ArraySlice<UInt8>) throws(TouchTraceError) -> Int {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while let byte = bytes.popFirst() {
            guard shift < 63 else { break }
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return Int(truncatingIfNeeded: value) }
            shift += 7
        }
        throw TouchTraceError(reason: .malformed)
    }

    private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        var sum: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in bytes { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return sum
    }
}
