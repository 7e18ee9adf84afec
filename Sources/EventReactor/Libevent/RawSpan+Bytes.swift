extension ConnectionCore {
    /// As the other form: the bytes of an array of bytes, which has no padding.
    func write(_ bytes: [UInt8]) throws(ReactorError) {
        try write(unsafe bytes.span.bytes)
    }
}

extension RawSpan {
    /// The bytes in an array.
    var copied: [UInt8] {
        unsafe withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
