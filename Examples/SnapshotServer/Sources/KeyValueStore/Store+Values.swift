// What commands do.
extension Store {
    /// Appends the value of a key to `result`; what is told before is its length, or nil if there is no such key.
    ///
    /// - Throws: ``StoreError/damaged(offset:_:)``.
    public func read(
        _ key: [UInt8], into result: inout [UInt8], announcing: (Int?, inout [UInt8]) -> Void
    ) throws(StoreError) {
        let found = try find(key)?.block
        announcing(found?.valueLength, &result)
        if let found { memory.append(found.value, to: &result) }
    }

    /// The value of a key.
    ///
    /// - Throws: ``StoreError/damaged(offset:_:)``.
    public func value(_ key: [UInt8]) throws(StoreError) -> [UInt8]? {
        try find(key).map { memory.bytes($0.block.value) }
    }

    /// The length of a key's value, nil if there is no such key.
    ///
    /// - Throws: ``StoreError/damaged(offset:_:)``.
    public func length(_ key: [UInt8]) throws(StoreError) -> Int? { try find(key)?.block.valueLength }

    /// Sets values, all of them or, if there is not enough room, none.
    ///
    /// - Throws: ``StoreError``; nothing has changed then, unless the store is damaged.
    public mutating func set(_ pairs: [(key: [UInt8], value: [UInt8])]) throws(StoreError) {
        if pairs.count == 1, try overwrite(pairs[0].key, pairs[0].value) { return }
        var blocks: [Block] = []
        do throws(StoreError) {
            for (key, value) in pairs {
                blocks.append(try allocate(keyLength: key.count, valueLength: value.count))
            }
        } catch {
            for block in blocks { free(block) }
            throw error
        }
        for (block, pair) in zip(blocks, pairs) {
            memory.write(pair.key, block.key.lowerBound)
            memory.write(pair.value, block.value.lowerBound)
            try link(block, pair.key)
        }
    }

    /// Sets a value in its old place, if it would get one of the same size anyway.
    private mutating func overwrite(_ key: [UInt8], _ value: [UInt8]) throws(StoreError) -> Bool {
        guard value.count <= limits.valueLength, var block = try find(key)?.block,
            SizeClasses.index(fitting: Self.prefix + key.count + value.count) == block.sizeClass
        else { return false }
        memory.write(value, block.value.lowerBound)
        resize(&block, to: value.count)
        return true
    }

    private mutating func resize(_ block: inout Block, to length: Int) {
        header.usedBytes -= min(block.valueLength, header.usedBytes)
        header.usedBytes += length
        block.valueLength = length
        write(block)
    }

    /// Appends to a value, which is empty if there is none.
    ///
    /// - Returns: its length afterwards.
    /// - Throws: ``StoreError``; nothing has changed then.
    public mutating func append(_ key: [UInt8], _ tail: [UInt8]) throws(StoreError) -> Int {
        guard var block = try find(key)?.block else {
            try set([(key, tail)])
            return tail.count
        }
        let length = block.valueLength + tail.count
        guard length <= limits.valueLength else { throw .valueTooLong(limit: limits.valueLength) }
        if Self.prefix + block.keyLength + length <= SizeClasses.sizes[block.sizeClass] {
            memory.write(tail, block.value.upperBound)
            resize(&block, to: length)
        } else {
            let new = try allocate(keyLength: key.count, valueLength: length)
            memory.write(key, new.key.lowerBound)
            memory.write(memory.bytes(block.value), new.value.lowerBound)
            memory.write(tail, new.value.lowerBound + block.valueLength)
            try link(new, key)
        }
        return length
    }

    /// Removes a key.
    ///
    /// - Returns: whether there was one.
    /// - Throws: ``StoreError/damaged(offset:_:)``.
    public mutating func remove(_ key: [UInt8]) throws(StoreError) -> Bool {
        guard let (block, previous) = try find(key) else { return false }
        unlink(block, previous, key)
        return true
    }

    /// Goes through the keys of some buckets: whatever is there from the first call to the last is met.
    ///
    /// - Parameters:
    ///   - cursor: 0 at first, then what the last call returned.
    ///   - wanted: about how many keys to meet; buckets are looked at as a whole.
    ///   - body: told each key.
    /// - Returns: 0 at the end.
    /// - Throws: ``StoreError/damaged(offset:_:)``.
    public func scan(
        from cursor: Int, about wanted: Int, _ body: ([UInt8]) -> Void
    ) throws(StoreError) -> Int {
        var (bucket, met) = (cursor, 0)
        // Most buckets may be empty.
        let last = min(header.bucketCount, cursor.addingReportingOverflow(max(wanted, 8192)).partialValue)
        guard cursor >= 0, cursor < header.bucketCount else { return 0 }
        while bucket < last, met < wanted {
            var offset = first(in: bucket)
            var steps = 0
            while offset != 0 {
                let block = try block(offset)
                body(memory.bytes(block.key))
                steps += 1
                guard steps <= header.count else { throw .damaged(offset: offset, "a chain has no end") }
                offset = block.next
            }
            met += steps
            bucket += 1
        }
        return bucket >= header.bucketCount ? 0 : bucket
    }
}
