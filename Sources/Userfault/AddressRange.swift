/// A run of virtual addresses: where it starts and how many bytes it has.
///
/// Addresses are plain integers, not pointers: the memory may belong to another process, or not be
/// there yet. Whether a range is page-aligned is for the call that takes it; the kernel answers
/// `EINVAL` where it is not.
public struct AddressRange: Hashable, Sendable, CustomStringConvertible {
    /// The first address.
    public var start: UInt

    /// The number of bytes; never negative.
    public var byteCount: Int

    /// Makes the range of `byteCount` bytes from the address `start`.
    ///
    /// - Precondition: `byteCount` is not negative.
    @inlinable
    public init(start: UInt, byteCount: Int) {
        precondition(byteCount >= 0, "a range of addresses cannot have a negative number of bytes")
        self.start = start
        self.byteCount = byteCount
    }

    /// The first address behind the range. Wraps where the range does.
    @inlinable
    public var end: UInt { start &+ UInt(bitPattern: byteCount) }

    /// Whether the range has no bytes.
    @inlinable
    public var isEmpty: Bool { byteCount == 0 }

    /// Whether `address` lies in the range.
    @inlinable
    public func contains(_ address: UInt) -> Bool {
        address >= start && address &- start < UInt(bitPattern: byteCount)
    }

    /// Whether all of `other` lies in the range. An empty range lies wherever its start does, and
    /// at the end.
    @inlinable
    public func contains(_ other: AddressRange) -> Bool {
        other.start >= start && other.end <= end && other.end >= other.start
    }

    /// Whether the two ranges have at least one byte in common.
    @inlinable
    public func overlaps(_ other: AddressRange) -> Bool {
        start < other.end && other.start < end && !isEmpty && !other.isEmpty
    }

    /// The bytes that both ranges have, or nil where there are none.
    @inlinable
    public func intersection(_ other: AddressRange) -> AddressRange? {
        guard overlaps(other) else { return nil }
        let from = max(start, other.start)
        return AddressRange(start: from, byteCount: Int(bitPattern: min(end, other.end) &- from))
    }

    /// What is left behind the first `bytes` bytes: where to go on after an
    /// ``Outcome/partial(bytesDone:)``.
    ///
    /// - Precondition: `bytes` is between 0 and ``byteCount``.
    public func droppingFirst(bytes: Int) -> AddressRange {
        precondition(bytes >= 0, "cannot drop a negative number of bytes")
        return AddressRange(start: start &+ UInt(bitPattern: bytes), byteCount: byteCount - bytes)
    }

    /// Whether both ends lie on a multiple of `pageSize` bytes.
    ///
    /// - Precondition: `pageSize` is a power of two.
    public func isAligned(to pageSize: Int = SystemPage.size) -> Bool {
        (start | UInt(bitPattern: byteCount)) & UInt(bitPattern: pageSize &- 1) == 0
    }

    /// Both ends in hexadecimal, the second one excluded: `0x7f0000000000..<0x7f0000004000`.
    public var description: String {
        "0x\(String(start, radix: 16))..<0x\(String(end, radix: 16))"
    }
}
