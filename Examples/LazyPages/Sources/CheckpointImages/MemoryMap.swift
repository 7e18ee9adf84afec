/// The mappings of a process: `mm-PID.img`.
public struct MemoryMap: Hashable, Sendable {
    /// A mapping.
    public struct Area: Hashable, Sendable {
        /// Its addresses.
        public var range: Range<UInt64>
        /// As mmap(2) has them.
        public var flags: UInt32
        /// What else is known of it.
        public var status: UInt32

        /// Whether its pages may come after the process runs: private anonymous memory that is neither locked, nor of huge
        /// pages, nor the kernel's own.
        public var mayBeLazy: Bool {
            let privateFlag: UInt32 = 0x02
            let anonymous: UInt32 = 0x20
            let locked: UInt32 = 0x2000
            let hugePages: UInt32 = 0x4_0000
            let isKernels = status & Self.kernelsOwn != 0
            return flags & (privateFlag | anonymous) == privateFlag | anonymous
                && flags & (locked | hugePages) == 0 && !isKernels
        }

        /// Marks of guards inside of mappings: they are listed behind all mappings and are none.
        var isGuard: Bool { status & 1 << 16 != 0 }

        /// vsyscall, vDSO and vvar.
        private static let kernelsOwn: UInt32 = 1 << 2 | 1 << 3 | 1 << 12
    }

    /// Where addresses of programs end, on all architectures of 64 bits.
    static let addressLimit: UInt64 = 1 << 57

    /// The mappings, in ascending order.
    public var areas: [Area] = []

    /// Reads the image.
    ///
    /// - Parameters:
    ///   - bytes: the whole image.
    ///   - pageSize: the system's.
    /// - Throws: ``ImageError``: no such image, or mappings that cannot be, or overlap.
    public init(decoding bytes: [UInt8], pageSize: UInt64 = 4096) throws(ImageError) {
        let image = try ImageFile(bytes, .memoryMap)
        guard image.records.count == 1 else {
            throw ImageError(.malformed, "it has \(image.records.count) records and not one", at: 8)
        }
        var fields = image.reader(image.records[0])
        while let field = try fields.next() {
            guard field.number == 14 else { continue }
            let area = try Self.area(image.reader(try field.message()), pageSize, at: field.offset)
            if area.isGuard { continue }
            if let last = areas.last, last.range.upperBound > area.range.lowerBound {
                throw ImageError(
                    .malformed, "the mapping at \(hex(area.range.lowerBound)) overlaps the one before it",
                    at: field.offset)
            }
            areas.append(area)
        }
    }

    private static func area(
        _ reader: ProtobufReader, _ pageSize: UInt64, at offset: Int
    ) throws(ImageError) -> Area {
        var fields = reader
        var (start, end, flags, status) = (UInt64?.none, UInt64?.none, UInt32?.none, UInt32?.none)
        while let field = try fields.next() {
            switch field.number {
            case 1: start = try field.integer()
            case 2: end = try field.integer()
            case 6: flags = try field.integer32()
            case 7: status = try field.integer32()
            default: continue
            }
        }
        guard let start, let end, let flags, let status else {
            throw ImageError(.malformed, "a mapping lacks its addresses, flags or status", at: offset)
        }
        // vsyscall has its place among the addresses of the kernel.
        let isInside = end <= addressLimit || status & 1 << 2 != 0
        guard start < end, isInside, start % pageSize == 0, end % pageSize == 0 else {
            throw ImageError(
                .outOfRange, "there can be no mapping from \(hex(start)) to \(hex(end))", at: offset)
        }
        return Area(range: start..<end, flags: flags, status: status)
    }
}
