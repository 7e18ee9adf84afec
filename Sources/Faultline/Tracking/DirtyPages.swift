public import Userfault

/// Pages that were written, as address ranges: sorted, apart from each other, and whole pages. A plain value.
public struct DirtyPages: Sendable, Hashable {
    /// Where they are: in ascending order, neighbours merged.
    public private(set) var ranges: [AddressRange]
    /// The size of a page in bytes.
    public let pageSize: Int

    /// Puts a set together from ranges in any order, which may overlap.
    ///
    /// - Parameters:
    ///   - ranges: multiples of `pageSize`.
    ///   - pageSize: in bytes.
    public init(_ ranges: some Sequence<AddressRange>, pageSize: Int) {
        self.init(sorted: [], pageSize: pageSize)
        for range in ranges.sorted(by: { $0.start < $1.start }) { append(range) }
    }

    init(sorted ranges: [AddressRange], pageSize: Int) {
        self.ranges = ranges
        self.pageSize = pageSize
    }

    /// Whether there are none.
    public var isEmpty: Bool { ranges.isEmpty }
    /// The number of bytes in them.
    public var byteCount: Int { ranges.reduce(0) { $0 + $1.byteCount } }
    /// The number of pages. Takes time in proportion to the number of ranges.
    public var pageCount: Int { byteCount / pageSize }

    /// Whether the page that `address` lies in is one of them. Takes logarithmic time.
    ///
    /// - Parameter address: any address.
    public func contains(_ address: UInt) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) >> 1
            if ranges[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].contains(address)
    }

    /// Adds the pages of `other`: say, those of a collection that could not be saved.
    ///
    /// - Parameter other: with the same page size.
    public mutating func formUnion(_ other: DirtyPages) {
        precondition(other.pageSize == pageSize, "pages of different sizes")
        self = DirtyPages(ranges + other.ranges, pageSize: pageSize)
    }

    /// Adds a range that starts no earlier than the last one.
    mutating func append(_ range: AddressRange) {
        guard range.byteCount > 0 else { return }
        if let last = ranges.last, range.start <= last.end {
            let end = Swift.max(last.end, range.end)
            ranges[ranges.count - 1].byteCount = Int(end - last.start)
        } else {
            ranges.append(range)
        }
    }
}
