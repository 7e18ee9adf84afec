import EventReactor
import Faultline
import FaultlineTestKit
import Testing
import Userfault

@Suite("Descriptions of memory", .timeLimit(.minutes(5)))
struct AdoptionDescriptionTests {
    typealias Area = MemoryDescription.Area
    static let page = SystemPage.size
    static let huge = 2 << 20

    static func area(_ first: Int, _ count: Int, _ memory: MemoryKind = .privateAnonymous, offset: Int = 0)
        -> Area
    {
        let size = memory == .hugePages ? huge : page
        return Area(
            AddressRange(start: UInt((first + 512) * size), byteCount: count * size), memory: memory,
            offset: offset)
    }

    @Test("What is encoded is decoded again, whole and no sooner")
    func roundTrip() throws {
        let areas = [
            Self.area(100, 3, offset: 12345), Self.area(0, 50),
            Self.area(50, 50, .sharedMemory, offset: 7 << 40),
            Self.area(1 << 20, 9, .hugePages),
            Area(AddressRange(start: 1 << 46, byteCount: 1 << 30), memory: .hugePages, pageSize: 1 << 30),
            Area(AddressRange(start: UInt(Int.max) / 2 + 1, byteCount: 1 << 50)),
        ]
        let description = try MemoryDescription(areas)
        #expect(description.areas == areas)
        let bytes = description.encoded()
        #expect(bytes.count == 16 + 6 * 40)
        #expect(bytes.prefix(16) == [0x46, 0x4C, 0x4D, 0x44, 1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0])
        #expect(Array(bytes[32..<40]) == [0x39, 0x30, 0, 0, 0, 0, 0, 0])
        #expect(try MemoryDescription(decoding: bytes) == description)
        let decode = HandoverFormat.standard.decode
        for count in 0..<bytes.count { #expect(try decode(Array(bytes.prefix(count))) == nil) }
        #expect(try decode(bytes) == description)
        for count in [0, 1, 15, 16, bytes.count - 1] {
            #expect(throws: MemoryDescriptionError.self) {
                try MemoryDescription(decoding: Array(bytes.prefix(count)))
            }
        }
    }

    /// What to write where in a right description of two areas, and what is said of it.
    static let flaws: [(offset: Int, bytes: [UInt8], reason: MemoryDescriptionError.Reason, area: Int?)] = [
        (0, [0x45], .notADescription, nil), (3, [0], .notADescription, nil), (4, [2], .unknownVersion, nil),
        (4, [0], .unknownVersion, nil), (5, [1], .unknownVersion, nil), (6, [1], .reservedBits, nil),
        (15, [0x80], .reservedBits, nil), (8, [0], .noAreas, nil), (8, [1], .wrongLength, nil),
        (8, [3], .wrongLength, nil), (11, [0xFF], .tooManyAreas, nil), (8, [1, 0, 1], .tooManyAreas, nil),
        // The second area: address, byte count, offset, page size, kind, zeroes.
        (56, le(0), .badAddress, 1), (56, le(1), .misaligned, 1), (56, le(.max), .misaligned, 1),
        (56, le(UInt64(Int.max) - 4095 + 4096), .badAddress, 1), (56, le(UInt64.max - 4095), .badAddress, 1),
        (56, le(UInt64(Int.max) - 4095), .badAddress, 1),
        (64, le(0), .emptyArea, 1), (64, le(1), .misaligned, 1), (64, le(.max), .emptyArea, 1),
        (64, le(1 << 63), .emptyArea, 1), (64, le((1 << 63) - 4096), .badAddress, 1),
        (72, le(1 << 63), .badOffset, 1), (72, le((1 << 63) - 1), .badOffset, 1),
        (72, le(.max), .badOffset, 1),
        (80, le(0), .badPageSize, 1), (80, le(1), .badPageSize, 1), (80, le(2048), .badPageSize, 1),
        (80, le(4097), .badPageSize, 1), (80, le(1 << 62), .badPageSize, 1),
        (80, le(1 << 63), .badPageSize, 1),
        (80, le(2 << 20), .badPageSize, 1),
        (88, [3], .unknownMemory, 1), (91, [1], .unknownMemory, 1), (92, [1], .reservedBits, 1),
        (95, [0x80], .reservedBits, 1), (52, [1], .reservedBits, 0),
    ]

    static func le(_ number: UInt64) -> [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) }
    }

    @Test(
        "Whatever is odd is refused, with what and where",
        .enabled(if: SystemPage.size == 4096, "the table is for 4 KiB"))
    func malformed() throws {
        let right = try MemoryDescription([Self.area(0, 4), Self.area(8, 4)]).encoded()
        for (index, flaw) in Self.flaws.enumerated() {
            var bytes = right
            bytes.replaceSubrange(flaw.offset..<flaw.offset + flaw.bytes.count, with: flaw.bytes)
            let error = #expect(throws: MemoryDescriptionError.self, "row \(index)") {
                try MemoryDescription(decoding: bytes)
            }
            #expect(error?.reason == flaw.reason, "row \(index)")
            #expect(error?.area == flaw.area, "row \(index)")
            #expect(error?.description.isEmpty == false)
        }
        #expect(throws: MemoryDescriptionError.self) { try MemoryDescription(decoding: right + [0]) }
    }

    @Test("Areas that overlap are refused in any order, neighbours are not")
    func overlaps() throws {
        for areas in [
            [Self.area(0, 4), Self.area(3, 4)], [Self.area(3, 4), Self.area(0, 4)],
            [Self.area(0, 10), Self.area(2, 1)], [Self.area(5, 1), Self.area(5, 1)],
            [Self.area(0, 1), Self.area(9, 1), Self.area(20, 5), Self.area(8, 2)],
        ] {
            let error = #expect(throws: MemoryDescriptionError.self) { try MemoryDescription(areas) }
            #expect(error?.reason == .overlap)
        }
        _ = try MemoryDescription([Self.area(4, 4), Self.area(0, 4), Self.area(8, 1)])
        #expect(throws: MemoryDescriptionError.self) { try MemoryDescription([]) }
    }

    @Test("Limits count areas, and bytes without overflow")
    func limits() throws {
        let description = try MemoryDescription([Self.area(0, 4), Self.area(10, 4)])
        #expect(description.byteCount == 8 * Self.page)
        try description.check(.init(areaCount: 2, byteCount: 8 * Self.page))
        let byCount = #expect(throws: MemoryDescriptionError.self) {
            try description.check(.init(areaCount: 1))
        }
        #expect(byCount?.reason == .tooManyAreas)
        let byBytes = #expect(throws: MemoryDescriptionError.self) {
            try description.check(.init(byteCount: 8 * Self.page - 1))
        }
        #expect(byBytes?.reason == .tooManyBytes)
        let quarter = Int.max / 4 / Self.page * Self.page
        let large = try MemoryDescription(
            (0..<3).map { Area(AddressRange(start: UInt(Self.page + $0 * quarter), byteCount: quarter)) })
        #expect(large.byteCount == 3 * quarter)
        #expect(throws: MemoryDescriptionError.self) { try large.check(.init()) }
    }

    @Test("Bytes at random are decoded or refused, and what is decoded is encoded the same")
    func random() {
        let seed = TestSeed()
        var random = TestRandom(seed, stream: 1)
        let right =
            (try? MemoryDescription([Self.area(0, 4), Self.area(8, 4), Self.area(40, 1)]).encoded()) ?? []
        var decoded = 0
        for _ in 0..<20_000 {
            var bytes = right
            for _ in 0..<random.below(4) { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
            if random.chance(10) { bytes.removeLast(random.below(bytes.count)) }
            if random.chance(10) { bytes += (0..<random.below(50)).map { _ in UInt8(random.below(256)) } }
            if let description = try? MemoryDescription(decoding: bytes) {
                decoded += 1
                #expect(description.encoded() == bytes, "\(seed)")
            }
        }
        #expect(decoded > 1000 && decoded < 20_000, "\(seed)")
    }
}
