/// Keys and values in memory that is all there is to it: with offsets instead of addresses, so that an image of the memory is a store
/// wherever it is mapped. For one thread at a time.
///
/// ```text
/// header (4 KiB) | table of buckets | blocks, each of a size class … top | never used
/// ```
public struct Store<Memory: StoreMemory> {
    /// What a key and a value may have, in bytes.
    public struct Limits: Sendable {
        /// The most bytes of a key.
        public var keyLength: Int
        /// The most bytes of a value.
        public var valueLength: Int

        /// Limits. The parameters are the properties of the same names.
        public init(keyLength: Int = 64 << 10, valueLength: Int = 64 << 20) {
            self.keyLength = min(keyLength, 1 << 30)
            self.valueLength = min(valueLength, 1 << 30)
        }
    }

    let memory: Memory
    let limits: Limits
    /// Where everything is.
    public internal(set) var header: StoreHeader
    var freedSinceSweep: Int
    private let hash: SipHash

    /// A store in memory whose header has been read, or made.
    public init(_ header: StoreHeader, in memory: Memory, limits: Limits = Limits()) {
        self.header = header
        self.memory = memory
        self.limits = limits
        freedSinceSweep = header.freeBytes
        hash = SipHash(key: header.hashKey)
    }

    /// Writes the header into the memory: an image of it is a store then.
    ///
    /// - Parameter time: seconds since 1970.
    public mutating func seal(at time: UInt64) {
        header.savedAt = time
        memory.write(header.encoded, 0)
    }

    // MARK: Chains

    func bucket(of key: [UInt8]) -> Int { Int(hash(key) & UInt64(header.bucketCount - 1)) }

    func first(in bucket: Int) -> Int {
        let word = memory.load(StoreHeader.tableOffset + bucket * 8)
        return word >> 40 == header.epoch ? Int(word & 0xFF_FFFF_FFFF) * SizeClasses.grain : 0
    }

    private func setFirst(_ offset: Int, in bucket: Int) {
        memory.store(
            header.epoch << 40 | UInt64(offset / SizeClasses.grain), StoreHeader.tableOffset + bucket * 8)
    }

    /// The block of a key, and the one before it in its chain.
    func find(_ key: [UInt8]) throws(StoreError) -> (block: Block, previous: Block?)? {
        var previous: Block?
        var offset = first(in: bucket(of: key))
        var steps = 0
        while offset != 0 {
            let block = try block(offset)
            if memory.equals(block.key, key) { return (block, previous) }
            steps += 1
            guard steps <= header.count else { throw .damaged(offset: offset, "a chain has no end") }
            previous = block
            offset = block.next
        }
        return nil
    }

    /// Puts a block in the place of that with the same key, or at the front of its chain.
    mutating func link(_ new: Block, _ key: [UInt8]) throws(StoreError) {
        var new = new
        if let (old, previous) = try find(key) {
            new.next = old.next
            write(new)
            setNext(new.offset, after: previous, key)
            header.usedBytes -= min(old.valueLength, header.usedBytes)
            header.usedBytes += new.valueLength
            free(old)
        } else {
            let bucket = bucket(of: key)
            new.next = first(in: bucket)
            write(new)
            setFirst(new.offset, in: bucket)
            header.count += 1
            header.usedBytes += new.keyLength + new.valueLength
        }
    }

    /// Takes a block out of its chain, and frees it.
    mutating func unlink(_ block: Block, _ previous: Block?, _ key: [UInt8]) {
        setNext(block.next, after: previous, key)
        header.count -= min(1, header.count)
        header.usedBytes -= min(block.keyLength + block.valueLength, header.usedBytes)
        free(block)
        if header.count == 0 { removeAll() }
    }

    private func setNext(_ offset: Int, after previous: Block?, _ key: [UInt8]) {
        if var previous {
            previous.next = offset
            write(previous)
        } else {
            setFirst(offset, in: bucket(of: key))
        }
    }

    /// Forgets everything, however much that is, at once: buckets of earlier epochs are empty.
    public mutating func removeAll() {
        header.epoch += 1
        if header.epoch == StoreHeader.epochLimit {
            for bucket in 0..<header.bucketCount {
                memory.store(0, StoreHeader.tableOffset + bucket * 8)
            }
            header.epoch = 1
        }
        header.top = header.heapStart
        header.count = 0
        header.usedBytes = 0
        header.freeBytes = 0
        header.lists = header.lists.map { _ in 0 }
        freedSinceSweep = 0
    }
}
