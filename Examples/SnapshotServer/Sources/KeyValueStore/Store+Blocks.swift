// Memory in blocks, from the heap's start to the top without gaps. A block's first word has a tag that says whether it is free, its
// class, and the next block of its list or chain; the second the lengths of key and value, which follow it.
extension Store {
    static var prefix: Int { 16 }
    private static var usedTag: UInt64 { 0xE7 }
    private static var freeTag: UInt64 { 0x5F }

    /// A block that is in use.
    struct Block {
        var offset: Int
        var sizeClass: Int
        var next: Int
        var keyLength: Int
        var valueLength: Int

        var key: Range<Int> { offset + prefix..<offset + prefix + keyLength }
        var value: Range<Int> { key.upperBound..<key.upperBound + valueLength }
    }

    /// What a block's first word says, after it has been checked.
    func tag(_ offset: Int) throws(StoreError) -> (isFree: Bool, sizeClass: Int, next: Int) {
        try check(offset)
        let word = memory.load(offset)
        let (tag, sizeClass) = (word >> 56, Int(word >> 48 & 0xFF))
        guard tag == Self.usedTag || tag == Self.freeTag, sizeClass < SizeClasses.sizes.count,
            SizeClasses.sizes[sizeClass] <= header.top - offset
        else {
            throw .damaged(offset: offset, "no block begins here")
        }
        let next = Int(word & 0xFFFF_FFFF_FFFF) * SizeClasses.grain
        return (tag == Self.freeTag, sizeClass, next)
    }

    func block(_ offset: Int) throws(StoreError) -> Block {
        let (isFree, sizeClass, next) = try tag(offset)
        let lengths = memory.load(offset + 8)
        let (keyLength, valueLength) = (Int(lengths >> 32), Int(lengths & 0xFFFF_FFFF))
        guard !isFree, Self.prefix + keyLength + valueLength <= SizeClasses.sizes[sizeClass] else {
            throw .damaged(
                offset: offset, isFree ? "the block is free" : "the block is too small for what it has")
        }
        return Block(
            offset: offset, sizeClass: sizeClass, next: next, keyLength: keyLength, valueLength: valueLength)
    }

    private func check(_ offset: Int) throws(StoreError) {
        guard offset >= header.heapStart, offset < header.top, offset % SizeClasses.grain == 0 else {
            throw .damaged(offset: offset, "a block cannot begin here")
        }
    }

    func write(_ block: Block) {
        memory.store(Self.word(Self.usedTag, block.sizeClass, block.next), block.offset)
        memory.store(UInt64(block.keyLength) << 32 | UInt64(block.valueLength), block.offset + 8)
    }

    private static func word(_ tag: UInt64, _ sizeClass: Int, _ next: Int) -> UInt64 {
        tag << 56 | UInt64(sizeClass) << 48 | UInt64(next / SizeClasses.grain)
    }

    /// A block for a key and a value, neither of which is in it yet. Nothing has changed if there is none.
    mutating func allocate(keyLength: Int, valueLength: Int) throws(StoreError) -> Block {
        let needed = Self.prefix + keyLength + valueLength
        guard keyLength <= limits.keyLength, valueLength <= limits.valueLength,
            let sizeClass = SizeClasses.index(fitting: needed)
        else { throw .valueTooLong(limit: limits.valueLength) }
        let offset: Int
        if let place = try place(for: sizeClass) {
            offset = place
        } else {
            guard worthSweeping(for: SizeClasses.sizes[sizeClass]) else { throw .outOfMemory }
            try sweep()
            guard let place = try place(for: sizeClass) else { throw .outOfMemory }
            offset = place
        }
        let block = Block(
            offset: offset, sizeClass: sizeClass, next: 0, keyLength: keyLength, valueLength: valueLength)
        write(block)
        return block
    }

    private mutating func place(for sizeClass: Int) throws(StoreError) -> Int? {
        if let offset = try take(sizeClass) { return offset }
        let size = SizeClasses.sizes[sizeClass]
        if size <= header.capacity - header.top {
            header.top += size
            return header.top - size
        }
        for larger in header.lists.indices.dropFirst(sizeClass + 1) where header.lists[larger] != 0 {
            guard let offset = try take(larger) else { continue }
            // First, since the rest is found behind it when blocks are gone through.
            memory.store(Self.word(Self.usedTag, sizeClass, 0), offset)
            release(offset + size..<offset + SizeClasses.sizes[larger])
            return offset
        }
        return nil
    }

    private mutating func take(_ sizeClass: Int) throws(StoreError) -> Int? {
        let offset = header.lists[sizeClass]
        guard offset != 0 else { return nil }
        let found = try tag(offset)
        guard found.isFree, found.sizeClass == sizeClass else {
            throw .damaged(offset: offset, "a block that is not free is in a list of free ones")
        }
        header.lists[sizeClass] = found.next
        header.freeBytes -= min(SizeClasses.sizes[sizeClass], header.freeBytes)
        return offset
    }

    /// Makes free blocks of a part of the heap, as large as they can be.
    private mutating func release(_ part: Range<Int>) {
        var offset = part.lowerBound
        while offset < part.upperBound {
            let sizeClass = SizeClasses.index(within: part.upperBound - offset)
            memory.store(Self.word(Self.freeTag, sizeClass, header.lists[sizeClass]), offset)
            header.lists[sizeClass] = offset
            header.freeBytes += SizeClasses.sizes[sizeClass]
            offset += SizeClasses.sizes[sizeClass]
        }
    }

    mutating func free(_ block: Block) {
        let size = SizeClasses.sizes[block.sizeClass]
        release(block.offset..<block.offset + size)
        freedSinceSweep += size
    }

    /// Going through all blocks takes its time: not for every command that finds no room.
    private func worthSweeping(for size: Int) -> Bool {
        freedSinceSweep > 0 && header.freeBytes >= size
            && (freedSinceSweep >= size || freedSinceSweep >= header.capacity / 64)
    }

    /// Goes through all blocks, and makes one of free neighbours.
    private mutating func sweep() throws(StoreError) {
        var runs: [Range<Int>] = []
        var offset = header.heapStart
        while offset < header.top {
            let (isFree, sizeClass, _) = try tag(offset)
            let end = offset + SizeClasses.sizes[sizeClass]
            if isFree {
                if runs.last?.upperBound == offset {
                    runs[runs.count - 1] = runs[runs.count - 1].lowerBound..<end
                } else {
                    runs.append(offset..<end)
                }
            }
            offset = end
        }
        freedSinceSweep = 0
        header.freeBytes = 0
        header.lists = header.lists.map { _ in 0 }
        if let last = runs.last, last.upperBound == header.top {
            header.top = last.lowerBound
            runs.removeLast()
        }
        // The last first: lists begin at the front of the heap then.
        for run in runs.reversed() { release(run) }
    }
}
