// The one place of the module that reads memory as numbers, and calls C. Every access is checked against bounds.

internal import CChecksum

extension RawSpan {
    /// The number that lies at a byte offset, least significant byte first.
    package func number<T: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: T.Type = T.self) -> T
    {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size)
        return T(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The CRC-32C of the bytes.
    package var checksum: UInt32 {
        unsafe withUnsafeBytes { unsafe faultline_crc32c(0, $0.baseAddress, $0.count) }
    }

    /// The same without the processor's help, for tests.
    package var portableChecksum: UInt32 {
        unsafe withUnsafeBytes { unsafe faultline_crc32c_portable(0, $0.baseAddress, $0.count) }
    }

    /// A copy of the bytes.
    package var array: [UInt8] { unsafe withUnsafeBytes { unsafe [UInt8]($0) } }
}

extension MutableRawSpan {
    /// Writes a number, least significant byte first.
    mutating func set<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}

extension MutableRawSpan {
    /// Copies bytes to the beginning.
    mutating func copy(_ source: RawSpan) {
        precondition(source.byteCount <= byteCount)
        unsafe withUnsafeMutableBytes { target in
            unsafe source.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        }
    }
}

extension [UInt8] {
    /// The CRC-32C of the bytes.
    package var checksum: UInt32 { unsafe span.bytes.checksum }
    /// The same without the processor's help, for tests.
    package var portableChecksum: UInt32 { unsafe span.bytes.portableChecksum }
}

extension MutableRawSpan {
    /// Copies bytes to the beginning.
    mutating func copy(_ source: [UInt8]) { copy(unsafe source.span.bytes) }
}

extension FrameHeader {
    /// The header as it is on the wire.
    package var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        var span = bytes.mutableSpan
        var raw = unsafe span.mutableBytes
        encode(into: &raw)
        return bytes
    }
}

extension FrameDecoder {
    /// As the other form.
    package static func next(in bytes: [UInt8], limit: Int) throws(FrameError) -> Step {
        try next(in: unsafe bytes.span.bytes, limit: limit)
    }
}
