import Userfault

// All numbers are little-endian and have no sign. A header of 16 bytes:
//
//      0   4   "FLMD"
//      4   2   the version: 1
//      6   2   zero
//      8   4   the number of areas
//     12   4   zero
//
// Then 40 bytes for each area:
//
//      0   8   the first address
//      8   8   the number of bytes
//     16   8   where the first page is in the store, in bytes
//     24   8   the size of a page in bytes
//     32   4   what the memory is: 0 private anonymous, 1 shared, 2 huge pages
//     36   4   zero
extension MemoryDescription {
    private static let magic: UInt64 = 0x444D_4C46
    private static let version: UInt64 = 1
    static let headerByteCount = 16
    static let areaByteCount = 40
    /// More areas than a process can have mappings by default (`vm.max_map_count`): no decoder accepts more.
    static let mostAreas = 65_536

    /// The description as bytes: 16, and 40 for each area, in the format that the article
    /// <doc:MemoryOfOtherProcesses> describes. Any thread.
    public func encoded() -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headerByteCount + areas.count * Self.areaByteCount)
        bytes.append(Self.magic, byteCount: 4)
        bytes.append(Self.version, byteCount: 2)
        bytes.append(0, byteCount: 2)
        bytes.append(UInt64(areas.count), byteCount: 4)
        bytes.append(0, byteCount: 4)
        for area in areas {
            bytes.append(UInt64(area.range.start), byteCount: 8)
            bytes.append(UInt64(area.range.byteCount), byteCount: 8)
            bytes.append(UInt64(area.offset), byteCount: 8)
            bytes.append(UInt64(area.pageSize), byteCount: 8)
            bytes.append(area.memory.code, byteCount: 4)
            bytes.append(0, byteCount: 4)
        }
        return bytes
    }

    /// Reads what ``encoded()`` wrote. Any thread; whatever the bytes are, no more is allocated than they are long.
    ///
    /// - Parameter bytes: one whole description, nothing else.
    /// - Throws: ``MemoryDescriptionError`` when they are something else, or describe what cannot be.
    public init(decoding bytes: [UInt8]) throws(MemoryDescriptionError) {
        guard let description = try Self.decodeIfComplete(bytes) else {
            throw MemoryDescriptionError(.wrongLength)
        }
        self = description
    }

    /// The same for bytes that come piece by piece.
    ///
    /// - Returns: nil as long as bytes are missing and nothing is wrong with those that are there.
    static func decodeIfComplete(_ bytes: [UInt8]) throws(MemoryDescriptionError) -> MemoryDescription? {
        for (index, byte) in bytes.prefix(4).enumerated()
        where byte != UInt8(truncatingIfNeeded: magic >> (8 * index)) {
            throw MemoryDescriptionError(.notADescription)
        }
        guard bytes.count >= headerByteCount else { return nil }
        guard bytes.number(at: 4, byteCount: 2) == version else {
            throw MemoryDescriptionError(.unknownVersion)
        }
        guard bytes.number(at: 6, byteCount: 2) == 0, bytes.number(at: 12, byteCount: 4) == 0 else {
            throw MemoryDescriptionError(.reservedBits)
        }
        let count = Int(bytes.number(at: 8, byteCount: 4))
        guard count > 0 else { throw MemoryDescriptionError(.noAreas) }
        guard count <= mostAreas else { throw MemoryDescriptionError(.tooManyAreas) }
        let total = headerByteCount + count * areaByteCount
        guard bytes.count >= total else { return nil }
        guard bytes.count == total else { throw MemoryDescriptionError(.wrongLength) }
        var areas: [Area] = []
        areas.reserveCapacity(count)
        for index in 0..<count { areas.append(try decodeArea(bytes, index)) }
        return try MemoryDescription(areas)
    }

    private static func decodeArea(_ bytes: [UInt8], _ index: Int) throws(MemoryDescriptionError) -> Area {
        let start = headerByteCount + index * areaByteCount
        guard bytes.number(at: start + 36, byteCount: 4) == 0 else {
            throw MemoryDescriptionError(.reservedBits, area: index)
        }
        guard let memory = MemoryKind(code: bytes.number(at: start + 32, byteCount: 4)) else {
            throw MemoryDescriptionError(.unknownMemory, area: index)
        }
        guard let address = UInt(exactly: bytes.number(at: start, byteCount: 8)) else {
            throw MemoryDescriptionError(.badAddress, area: index)
        }
        guard let byteCount = Int(exactly: bytes.number(at: start + 8, byteCount: 8)) else {
            throw MemoryDescriptionError(.emptyArea, area: index)
        }
        guard let offset = Int(exactly: bytes.number(at: start + 16, byteCount: 8)) else {
            throw MemoryDescriptionError(.badOffset, area: index)
        }
        guard let pageSize = Int(exactly: bytes.number(at: start + 24, byteCount: 8)) else {
            throw MemoryDescriptionError(.badPageSize, area: index)
        }
        return Area(
            AddressRange(start: address, byteCount: byteCount), memory: memory, pageSize: pageSize,
            offset: offset)
    }
}

extension MemoryKind {
    fileprivate var code: UInt64 {
        switch self {
        case .privateAnonymous: 0
        case .sharedMemory: 1
        case .hugePages: 2
        }
    }

    fileprivate init?(code: UInt64) {
        switch code {
        case 0: self = .privateAnonymous
        case 1: self = .sharedMemory
        case 2: self = .hugePages
        default: return nil
        }
    }
}

extension [UInt8] {
    mutating func append(_ number: UInt64, byteCount: Int) {
        for index in 0..<byteCount { append(UInt8(truncatingIfNeeded: number >> (8 * index))) }
    }

    func number(at offset: Int, byteCount: Int) -> UInt64 {
        (0..<byteCount).reversed().reduce(0) { $0 << 8 | UInt64(self[offset + $1]) }
    }
}
