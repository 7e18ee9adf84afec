public import Userfault

/// What memory a process hands over: where it lies there, what it is made of, and what its pages are in the store.
///
/// It is checked when it is made: whoever has one has areas that can be served, as far as that can be known without asking
/// the kernel. A value without references to anything; any thread.
public struct MemoryDescription: Hashable, Sendable {
    /// One range of memory.
    public struct Area: Hashable, Sendable {
        /// Its addresses in the process that hands it over, multiples of its page size.
        public var range: AddressRange
        /// What it is made of.
        public var memory: MemoryKind
        /// The size of its pages in bytes: the system's, or that of its huge pages.
        public var pageSize: Int
        /// Where its first page is in the store, in bytes: the handler is told so (``FaultRequest/offset``).
        public var offset: Int

        /// An area; it is checked as a part of a description.
        ///
        /// - Parameters:
        ///   - range: its addresses.
        ///   - memory: what it is made of.
        ///   - pageSize: in bytes; nil for the system's, or 2 MiB for huge pages.
        ///   - offset: where its first page is in the store, in bytes.
        public init(
            _ range: AddressRange, memory: MemoryKind = .privateAnonymous, pageSize: Int? = nil,
            offset: Int = 0
        ) {
            self.range = range
            self.memory = memory
            self.pageSize =
                pageSize ?? (memory == .hugePages ? HugePage.size : SystemPage.size)
            self.offset = offset
        }
    }

    /// How much a process may hand over at once.
    public struct Limits: Hashable, Sendable {
        /// The most areas.
        public var areaCount: Int
        /// The most bytes, of all areas together. The receiver keeps two bits for each page.
        public var byteCount: Int

        /// Limits: 256 areas and 64 GiB unless you say otherwise.
        ///
        /// - Parameters:
        ///   - areaCount: the most areas.
        ///   - byteCount: the most bytes of all areas together.
        public init(areaCount: Int = 256, byteCount: Int = 64 << 30) {
            self.areaCount = areaCount
            self.byteCount = byteCount
        }
    }

    /// The areas, in the order in which they were given; they do not overlap.
    public let areas: [Area]

    /// A description of these areas.
    ///
    /// - Parameter areas: at least one, in any order.
    /// - Throws: ``MemoryDescriptionError`` that names what is wrong and with which area.
    public init(_ areas: [Area]) throws(MemoryDescriptionError) {
        guard !areas.isEmpty else { throw MemoryDescriptionError(.noAreas) }
        for (index, area) in areas.enumerated() {
            if let reason = area.flaw { throw MemoryDescriptionError(reason, area: index) }
        }
        let order = areas.indices.sorted { areas[$0].range.start < areas[$1].range.start }
        for (lower, upper) in zip(order, order.dropFirst())
        where areas[lower].range.overlaps(areas[upper].range) {
            throw MemoryDescriptionError(.overlap, area: upper)
        }
        self.areas = areas
    }

    /// The bytes of all areas together; `Int.max` if that is more.
    public var byteCount: Int {
        areas.reduce(0) { sum, area in
            let (total, overflow) = sum.addingReportingOverflow(area.range.byteCount)
            return overflow ? .max : total
        }
    }

    /// Whether the description keeps to limits.
    ///
    /// - Parameter limits: how much may be handed over.
    /// - Throws: ``MemoryDescriptionError``: too many areas or bytes.
    public func check(_ limits: Limits) throws(MemoryDescriptionError) {
        guard areas.count <= limits.areaCount else { throw MemoryDescriptionError(.tooManyAreas) }
        guard byteCount <= limits.byteCount else { throw MemoryDescriptionError(.tooManyBytes) }
    }
}

extension MemoryDescription.Area {
    /// What is wrong with the area, if anything is.
    fileprivate var flaw: MemoryDescriptionError.Reason? {
        guard range.byteCount > 0 else { return .emptyArea }
        guard pageSize > 0, pageSize & (pageSize - 1) == 0, pageSize >= SystemPage.size,
            memory == .hugePages || pageSize == SystemPage.size
        else { return .badPageSize }
        guard range.isAligned(to: pageSize) else { return .misaligned }
        // Neither the first page, which null pointers are in, nor the kernel's half.
        guard range.start >= UInt(SystemPage.size),
            range.start <= UInt(Int.max) - UInt(range.byteCount)
        else { return .badAddress }
        guard offset >= 0, offset <= Int.max - range.byteCount else { return .badOffset }
        return nil
    }
}
