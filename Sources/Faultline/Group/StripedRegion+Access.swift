internal import EventReactor

extension StripedRegion {
    /// Reads a value at a byte offset, which need not be aligned. Waits in the kernel until the page is there, if it is
    /// not: the thread, and with it any task on it, stands still meanwhile. Any thread but the reactors'; allocates
    /// nothing. If the page cannot be supplied, the thread gets SIGBUS.
    ///
    /// - Parameters:
    ///   - offset: bytes from the start of the region.
    ///   - type: what to read.
    /// - Precondition: the value lies within the region; the caller is not on the thread of one of the group's reactors (they
    ///   would wait for each other).
    public func load<T: BitwiseCopyable>(fromByteOffset offset: Int, as type: T.Type) -> T {
        preconditionOffLoop()
        return mapping.load(offset, as: type)
    }

    /// Writes a value at a byte offset, which need not be aligned. Waits like ``load(fromByteOffset:as:)``: a page is
    /// supplied before it is written, even if all of it is.
    ///
    /// - Parameters:
    ///   - value: what to write.
    ///   - offset: bytes from the start of the region.
    /// - Precondition: as for ``load(fromByteOffset:as:)``.
    public func store<T: BitwiseCopyable>(_ value: T, toByteOffset offset: Int) {
        preconditionOffLoop()
        mapping.store(value, offset)
    }

    /// Copies bytes out of the region. Waits like ``load(fromByteOffset:as:)``, for one page after the other; allocates
    /// the array.
    ///
    /// - Parameter offsets: bytes from the start of the region.
    /// - Precondition: as for ``load(fromByteOffset:as:)``.
    public func readBytes(_ offsets: Range<Int>) -> [UInt8] {
        preconditionOffLoop()
        return mapping.copyBytes(offsets)
    }

    /// Copies bytes into the region. Waits like ``load(fromByteOffset:as:)``, for one page after the other.
    ///
    /// - Parameters:
    ///   - bytes: what to write.
    ///   - offset: bytes from the start of the region.
    /// - Precondition: as for ``load(fromByteOffset:as:)``.
    public func writeBytes(_ bytes: [UInt8], at offset: Int) {
        preconditionOffLoop()
        mapping.write(bytes, at: offset)
    }

    /// Lends the bytes `offsets` to `body`, whose accesses wait like ``load(fromByteOffset:as:)``.
    ///
    /// - Precondition: as for ``load(fromByteOffset:as:)``. No other thread writes these bytes meanwhile.
    public func withBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (RawSpan) throws(E) -> R
    ) throws(E) -> R {
        preconditionOffLoop()
        return try mapping.withBytes(offsets, body)
    }

    /// Lends the bytes `offsets` to `body` for writing.
    ///
    /// - Precondition: as for ``withBytes(_:_:)``; no other thread reads these bytes either.
    public func withMutableBytes<R, E: Error>(
        _ offsets: Range<Int>, _ body: (inout MutableRawSpan) throws(E) -> R
    ) throws(E) -> R {
        preconditionOffLoop()
        return try mapping.withMutableBytes(offsets, body)
    }

    private func preconditionOffLoop() {
        precondition(
            !group.reactors.isOnLoop,
            "Faultline: region memory was touched on a thread of its reactors, which would wait for each other"
        )
    }
}
