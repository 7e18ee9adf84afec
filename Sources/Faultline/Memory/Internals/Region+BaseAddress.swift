extension Region {
    /// The first byte of the region, for C and for data structures of your own.
    ///
    /// - Warning: Valid as long as this object lives. Any thread but the reactor's may access the memory; accesses wait
    ///   in the kernel for pages that are not there.
    @unsafe
    public var unsafeBaseAddress: UnsafeMutableRawPointer { unsafe mapping.basePointer }
}
