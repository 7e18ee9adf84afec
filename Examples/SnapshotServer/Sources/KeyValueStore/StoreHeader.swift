/// What is at the start of an image: where everything is. While the store is at work it is kept beside the memory, and
/// written into it for each snapshot.
public struct StoreHeader: Equatable, Sendable {
    static let magic: UInt64 = 0x3156_4B54_4C46_4153
    /// The version that this program writes and reads.
    public static let version: UInt32 = 1
    /// How many bytes it takes.
    public static let byteCount = 4096
    static let tableOffset = byteCount
    private static let listsOffset = 128
    /// An epoch is kept in 24 bits of each bucket.
    static let epochLimit: UInt64 = 1 << 24

    /// The length of the memory in bytes.
    public internal(set) var capacity: Int
    var bucketCount: Int
    /// Where blocks end; behind it nothing was ever written that counts.
    public internal(set) var top: Int
    /// The number of keys.
    public internal(set) var count = 0
    /// The bytes of all keys and values.
    public internal(set) var usedBytes = 0
    /// The bytes of all free blocks.
    public internal(set) var freeBytes = 0
    /// Buckets of another epoch are empty.
    var epoch: UInt64 = 1
    var hashKey: (UInt64, UInt64)
    /// When the image was written, in seconds since 1970.
    public internal(set) var savedAt: UInt64 = 0
    /// The first free block of each class; 0 for none.
    var lists = [Int](repeating: 0, count: SizeClasses.sizes.count)

    var heapStart: Int { Self.tableOffset + bucketCount * 8 }

    /// The header of an empty store.
    ///
    /// - Parameter capacity: the length of the memory in bytes.
    /// - Throws: ``StoreError/outOfMemory`` when not even the table fits.
    public init(capacity: Int) throws(StoreError) {
        var generator = SystemRandomNumberGenerator()
        self.capacity = capacity
        // 256 bytes to a key: fewer, and the table is longer than it need be; more, and chains are.
        bucketCount = 1024
        while bucketCount < capacity / 256, bucketCount < 1 << 30 { bucketCount *= 2 }
        hashKey = (generator.next(), generator.next())
        top = Self.tableOffset + bucketCount * 8
        guard top < capacity else { throw .outOfMemory }
    }

    /// Reads a header. Everything in it is checked that can be without the rest of the image.
    ///
    /// - Parameters:
    ///   - bytes: the first bytes of the image, ``byteCount`` of them.
    ///   - imageByteCount: the length of the image.
    ///   - memoryByteCount: the length of the memory that it is to be restored to.
    /// - Throws: ``StoreError``.
    public init(_ bytes: [UInt8], imageByteCount: Int, memoryByteCount: Int) throws(StoreError) {
        guard bytes.count >= 8, Self.word(bytes, 0) == Self.magic else { throw .notAnImage }
        guard bytes.count >= Self.byteCount else {
            throw .wrongLength(expected: UInt64(Self.byteCount), actual: imageByteCount)
        }
        let version = UInt32(truncatingIfNeeded: Self.word(bytes, 8))
        guard version == Self.version else { throw .unknownVersion(version) }
        guard Self.checksum(bytes) == Self.word(bytes, 120) else { throw .badChecksum }
        let capacity = Self.word(bytes, 16)
        guard capacity == UInt64(imageByteCount) else {
            throw .wrongLength(expected: capacity, actual: imageByteCount)
        }
        func number(_ offset: Int, _ name: String, in range: ClosedRange<Int>) throws(StoreError) -> Int {
            guard let value = Int(exactly: Self.word(bytes, offset)), range.contains(value) else {
                throw .badHeader("\(name) is \(Self.word(bytes, offset)), not within \(range)")
            }
            return value
        }
        bucketCount = try number(32, "the number of buckets", in: 1...1 << 30)
        let heap = Self.tableOffset + bucketCount * 8
        guard bucketCount & (bucketCount - 1) == 0, heap % SizeClasses.grain == 0, heap <= imageByteCount
        else {
            throw .badHeader("there cannot be \(bucketCount) buckets in \(imageByteCount) bytes")
        }
        self.capacity = memoryByteCount
        top = try number(48, "the end of the blocks", in: heap...imageByteCount)
        guard top % SizeClasses.grain == 0 else { throw .badHeader("the end of the blocks is \(top)") }
        guard top <= memoryByteCount else { throw .tooLarge(needed: top, memory: memoryByteCount) }
        count = try number(56, "the number of keys", in: 0...(top - heap) / SizeClasses.grain)
        usedBytes = try number(64, "the length of all values", in: 0...top - heap)
        freeBytes = try number(72, "the free memory", in: 0...top - heap)
        epoch = UInt64(try number(80, "the epoch", in: 1...Int(Self.epochLimit) - 1))
        hashKey = (Self.word(bytes, 88), Self.word(bytes, 96))
        savedAt = Self.word(bytes, 104)
        for index in lists.indices {
            let offset = Self.listsOffset + index * 8
            let first = try number(offset, "a list of free blocks", in: 0...top)
            guard first == 0 || first >= heap && first % SizeClasses.grain == 0 else {
                throw .badHeader("a list of free blocks begins at \(first)")
            }
            lists[index] = first
        }
    }

    /// The bytes of it, with the checksum.
    var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        func put(_ value: UInt64, _ offset: Int) {
            for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
        }
        put(Self.magic, 0)
        put(UInt64(Self.version), 8)
        put(UInt64(capacity), 16)
        put(UInt64(bucketCount), 32)
        for (index, value) in [top, count, usedBytes, freeBytes].enumerated() {
            put(UInt64(bitPattern: Int64(value)), 48 + 8 * index)
        }
        put(epoch, 80)
        put(hashKey.0, 88)
        put(hashKey.1, 96)
        put(savedAt, 104)
        for (index, first) in lists.enumerated() {
            put(UInt64(bitPattern: Int64(first)), Self.listsOffset + index * 8)
        }
        put(Self.checksum(bytes), 120)
        return bytes
    }

    private static func word(_ bytes: [UInt8], _ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    /// FNV-1a over all but the checksum itself: against accidents, not against somebody.
    private static func checksum(_ bytes: [UInt8]) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for (index, byte) in bytes.prefix(byteCount).enumerated() where !(120..<128).contains(index) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return hash
    }

    /// Whether all fields are equal.
    public static func == (left: StoreHeader, right: StoreHeader) -> Bool { left.encoded == right.encoded }
}
