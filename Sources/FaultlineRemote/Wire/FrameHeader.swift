/// What stands before the contents of every frame: 48 bytes, numbers with the least significant byte first.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic, `FLP1` |
/// | 4 | 1 | kind |
/// | 5 | 1 | flags |
/// | 6 | 2 | status |
/// | 8 | 8 | number of the request |
/// | 16 | 8 | offset in the store |
/// | 24 | 8 | bytes asked for |
/// | 32 | 4 | bytes that follow the header |
/// | 36 | 4 | their CRC-32C |
/// | 40 | 4 | zero |
/// | 44 | 4 | CRC-32C of the 44 bytes before |
package struct FrameHeader: Hashable, Sendable {
    package static let byteCount = 48
    package static let magic: UInt32 = 0x3150_4C46

    package var kind: FrameKind
    package var flags: FrameFlags = []
    package var status = WireStatus.success
    /// Zero for frames of the handshake and pings.
    package var number: UInt64 = 0
    package var offset: UInt64 = 0
    package var count: UInt64 = 0
    package var payloadByteCount = 0
    package var payloadChecksum: UInt32 = 0

    /// Writes the header into its 48 bytes.
    package func encode(into bytes: inout MutableRawSpan) {
        bytes.set(Self.magic, at: 0)
        bytes.set(kind.rawValue, at: 4)
        bytes.set(flags.rawValue, at: 5)
        bytes.set(status.rawValue, at: 6)
        bytes.set(number, at: 8)
        bytes.set(offset, at: 16)
        bytes.set(count, at: 24)
        bytes.set(UInt32(payloadByteCount), at: 32)
        bytes.set(payloadChecksum, at: 36)
        bytes.set(UInt32(0), at: 40)
        let checksum = bytes.bytes.extracting(0..<44).checksum
        bytes.set(checksum, at: 44)
    }

    /// Reads a header from its 48 bytes, and checks all that can be told from them alone.
    ///
    /// - Parameters:
    ///   - bytes: at least 48.
    ///   - limit: the most bytes that may follow.
    package init(decoding bytes: RawSpan, limit: Int) throws(FrameError) {
        let magic = bytes.number(at: 0, as: UInt32.self)
        guard magic == Self.magic else { throw .badMagic(magic) }
        guard bytes.extracting(0..<44).checksum == bytes.number(at: 44, as: UInt32.self) else {
            throw .badHeaderChecksum
        }
        let kindNumber = bytes.number(at: 4, as: UInt8.self)
        guard let kind = FrameKind(rawValue: kindNumber) else { throw .unknownKind(kindNumber) }
        self.kind = kind
        flags = FrameFlags(rawValue: bytes.number(at: 5))
        guard flags.isSubset(of: .known), bytes.number(at: 40, as: UInt32.self) == 0 else {
            throw .badField(kind, "flag")
        }
        guard let status = WireStatus(rawValue: bytes.number(at: 6)) else { throw .badField(kind, "status") }
        self.status = status
        number = bytes.number(at: 8)
        offset = bytes.number(at: 16)
        count = bytes.number(at: 24)
        let follows = bytes.number(at: 32, as: UInt32.self)
        guard follows <= UInt32(clamping: limit) else { throw .tooLong(kind, Int(follows), limit: limit) }
        payloadByteCount = Int(follows)
        payloadChecksum = bytes.number(at: 36)
        try checkFields()
    }

    package init(
        _ kind: FrameKind, flags: FrameFlags = [], status: WireStatus = .success, number: UInt64 = 0,
        offset: UInt64 = 0, count: UInt64 = 0
    ) {
        self.kind = kind
        self.flags = flags
        self.status = status
        self.number = number
        self.offset = offset
        self.count = count
    }

    /// A frame says nothing that its kind has no use for: what is left open today can get a meaning tomorrow.
    private func checkFields() throws(FrameError) {
        let hasStatus = kind == .answer || kind == .refused
        guard hasStatus || status == .success else { throw .badField(kind, "status") }
        guard kind != .refused || status != .success else { throw .badField(kind, "status") }
        guard kind.isRequest || !flags.contains(.urgent), kind == .answer || !flags.contains(.zero) else {
            throw .badField(kind, "flag")
        }
        let isNumbered = kind == .answer || kind.isRequest && kind != .ping
        guard isNumbered || number == 0 else { throw .badField(kind, "number") }
        let hasRange = kind == .read || kind == .write || kind == .trim
        guard hasRange || offset == 0 && count == 0 else { throw .badField(kind, "range") }
        switch kind {
        case .read, .trim, .flush, .ping:
            guard payloadByteCount == 0 else { throw .badField(kind, "payload") }
        case .write:
            guard UInt64(payloadByteCount) == count else { throw .badField(kind, "payload") }
        case .answer:
            guard !flags.contains(.zero) || payloadByteCount == 0 && status == .success else {
                throw .badField(kind, "payload")
            }
        default: break
        }
    }
}

/// Finds frames in the bytes that have come.
package enum FrameDecoder {
    package enum Step: Equatable {
        /// Nothing can be told before so many bytes are there, from the start of the frame.
        case needs(Int)
        /// A whole frame, with contents as they were sent. They begin after the header.
        case frame(FrameHeader)
    }

    /// Looks at the first frame of `bytes`.
    ///
    /// - Parameters:
    ///   - bytes: what has come and is not used up.
    ///   - limit: the most bytes of contents that may come.
    package static func next(in bytes: RawSpan, limit: Int) throws(FrameError) -> Step {
        guard bytes.byteCount >= FrameHeader.byteCount else {
            // Whoever speaks something else is told as soon as that shows.
            if bytes.byteCount >= 4 {
                let magic = bytes.number(at: 0, as: UInt32.self)
                guard magic == FrameHeader.magic else { throw .badMagic(magic) }
            }
            return .needs(FrameHeader.byteCount)
        }
        let header = try FrameHeader(decoding: bytes, limit: limit)
        let end = FrameHeader.byteCount + header.payloadByteCount
        guard bytes.byteCount >= end else { return .needs(end) }
        guard bytes.extracting(FrameHeader.byteCount..<end).checksum == header.payloadChecksum else {
            throw .badPayloadChecksum(header.kind)
        }
        return .frame(header)
    }
}
