import Testing

@testable import KeyValueStore

/// Memory of the tests' own: whoever reads outside of it fails.
final class BufferMemory: StoreMemory {
    var bytes: [UInt8]

    init(_ byteCount: Int) { bytes = [UInt8](repeating: 0, count: byteCount) }

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var byteCount: Int { bytes.count }

    func load(_ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    func store(_ value: UInt64, _ offset: Int) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }

    func write(_ new: [UInt8], _ offset: Int) {
        bytes.replaceSubrange(offset..<offset + new.count, with: new)
    }

    func withBytes<R>(_ range: Range<Int>, _ body: (RawSpan) -> R) -> R { body(bytes[range].span.bytes) }
}

struct TestRandom: RandomNumberGenerator {
    var state: UInt64

    /// A seed is printed by the test that has it as its argument.
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}

extension Store {
    /// Whether the blocks lie one behind the other, and the counts are those of the blocks.
    func isSound() throws -> Bool {
        var (offset, used, free, count) = (header.heapStart, 0, 0, 0)
        while offset < header.top {
            let found = try tag(offset)
            let size = SizeClasses.sizes[found.sizeClass]
            if found.isFree {
                free += size
            } else {
                let block = try block(offset)
                used += block.keyLength + block.valueLength
                count += 1
            }
            offset += size
        }
        return offset == header.top && used == header.usedBytes && free == header.freeBytes
            && count == header.count
    }
}

/// The store by itself, against a dictionary.
@Suite(.timeLimit(.minutes(2)))
struct StoreTests {
    private func makeStore(_ byteCount: Int) throws -> (Store<BufferMemory>, BufferMemory) {
        let memory = BufferMemory(byteCount)
        return (Store(try StoreHeader(capacity: byteCount), in: memory), memory)
    }

    private func reopened(_ bytes: [UInt8]) throws -> Store<BufferMemory> {
        let header = try StoreHeader(
            Array(bytes.prefix(StoreHeader.byteCount)), imageByteCount: bytes.count,
            memoryByteCount: bytes.count)
        return Store(header, in: BufferMemory(bytes))
    }

    @Test(arguments: (0..<6).map { _ in UInt64.random(in: 0 ... .max) })
    func `it does what a dictionary does, and forgets nothing when it is full`(seed: UInt64) throws {
        var random = TestRandom(seed)
        var (store, memory) = try makeStore(96 << 10)
        var model: [[UInt8]: [UInt8]] = [:]
        var refusals = 0
        for step in 0..<1500 {
            let key = Array("key \(Int.random(in: 0..<150, using: &random))".utf8)
            let length = Int.random(in: 0...[20, 300, 6000].randomElement(using: &random)!, using: &random)
            let value = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: length)
            do throws(StoreError) {
                switch Int.random(in: 0..<100, using: &random) {
                case 0..<45:
                    try store.set([(key, value)])
                    model[key] = value
                case 45..<60:
                    let other = Array("key \(Int.random(in: 0..<150, using: &random))".utf8)
                    try store.set([(key, value), (other, value), (key, [1])])
                    model[other] = value
                    model[key] = [1]
                case 60..<75:
                    #expect(try store.append(key, value) == (model[key] ?? []).count + length)
                    model[key, default: []] += value
                case 75..<99: #expect(try store.remove(key) == (model.removeValue(forKey: key) != nil))
                default:
                    if Int.random(in: 0..<10, using: &random) == 0 {
                        store.removeAll()
                        model = [:]
                    }
                }
            } catch {
                #expect(error == .outOfMemory)
                refusals += 1
            }
            #expect(try store.value(key) == model[key])
            if step % 200 == 0 { #expect(try store.isSound()) }
            if step % 500 == 499 {
                // What is written somewhere else is a store there.
                store.seal(at: 7)
                store = try reopened(memory.bytes)
                memory = store.memory
                #expect(store.header.savedAt == 7)
            }
        }
        #expect(refusals > 0, "the memory was never full")
        #expect(store.header.count == model.count)
        for (key, value) in model { #expect(try store.value(key) == value) }
        var met: Set<[UInt8]> = []
        var cursor = 0
        repeat { cursor = try store.scan(from: cursor, about: 5) { met.insert($0) } } while cursor != 0
        #expect(met == Set(model.keys))
    }

    @Test func `free neighbours become one block when there is no room otherwise`() throws {
        var (store, _) = try makeStore(256 << 10)
        func key(_ number: Int) -> [UInt8] { Array("\(number)".utf8) }
        var count = 0
        #expect(throws: StoreError.outOfMemory) {
            while true {
                try store.set([(key(count), [UInt8](repeating: 1, count: 100))])
                count += 1
            }
        }
        for number in 0..<count - 1 { #expect(try store.remove(key(number))) }
        try store.set([(Array("large".utf8), [UInt8](repeating: 2, count: 150 << 10))])
        #expect(try store.value(key(count - 1)) == [UInt8](repeating: 1, count: 100))
        #expect(try store.isSound())
    }

    @Test func `a store is emptied at once, in the last epoch as well`() throws {
        var (store, _) = try makeStore(64 << 10)
        store.header.epoch = StoreHeader.epochLimit - 2
        for round in 0..<4 {
            #expect(try store.value([1]) == nil)
            try store.set([([1], [UInt8(round)])])
            #expect(try store.value([1]) == [UInt8(round)])
            store.removeAll()
        }
        #expect(store.header.epoch < 10)
    }

    @Test func `what is too long is refused`() throws {
        var store = Store(
            try StoreHeader(capacity: 64 << 10), in: BufferMemory(64 << 10),
            limits: .init(keyLength: 10, valueLength: 20))
        #expect(throws: StoreError.valueTooLong(limit: 20)) {
            try store.set([([1], [UInt8](repeating: 0, count: 21))])
        }
        #expect(throws: StoreError.valueTooLong(limit: 20)) {
            try store.set([([UInt8](repeating: 0, count: 11), [])])
        }
        #expect(try store.append([1], [UInt8](repeating: 0, count: 20)) == 20)
        #expect(throws: StoreError.valueTooLong(limit: 20)) { try store.append([1], [0]) }
        #expect(try store.length([1]) == 20)
    }

    private func image() throws -> [UInt8] {
        var (store, memory) = try makeStore(64 << 10)
        for number in 0..<300 {
            try store.set([(Array("\(number)".utf8), [UInt8](repeating: 3, count: number % 90))])
        }
        for number in 0..<100 { #expect(try store.remove(Array("\(number * 3)".utf8))) }
        store.seal(at: 1)
        return memory.bytes
    }

    @Test(arguments: (0..<4).map { _ in UInt64.random(in: 0 ... .max) })
    func `a damaged image is noticed or changes values, and nothing else`(seed: UInt64) throws {
        var random = TestRandom(seed)
        let image = try image()
        var noticed = 0
        for _ in 0..<60 {
            var bytes = image
            for _ in 0..<Int.random(in: 1...40, using: &random) {
                bytes[Int.random(in: 4096..<40 << 10, using: &random)] = UInt8.random(
                    in: 0...255, using: &random)
            }
            var store = try reopened(bytes)
            for number in 0..<300 {
                let key = Array("\(number)".utf8)
                do throws(StoreError) {
                    _ = try store.value(key)
                    if number % 5 == 0 { _ = try store.remove(key) }
                    if number % 7 == 0 { try store.set([(key, [UInt8](repeating: 4, count: number))]) }
                    if number % 50 == 0 { _ = try store.scan(from: 0, about: 1 << 20) { _ in } }
                } catch {
                    if case .damaged = error { noticed += 1 }
                }
            }
        }
        #expect(noticed > 0)
    }

    @Test func `a header that cannot be is refused`() throws {
        let image = try image()
        func error(_ bytes: [UInt8], memory: Int = 64 << 10, change: ((inout StoreHeader) -> Void)? = nil)
            -> StoreError?
        {
            do throws(StoreError) {
                var header = try StoreHeader(bytes, imageByteCount: bytes.count, memoryByteCount: memory)
                guard let change else { return nil }
                change(&header)
                let changed = header.encoded + bytes.dropFirst(StoreHeader.byteCount)
                _ = try StoreHeader(changed, imageByteCount: bytes.count, memoryByteCount: memory)
                return nil
            } catch {
                return error
            }
        }
        #expect(error(image) == nil)
        #expect(error(image, memory: 1 << 20) == nil)
        for length in [0, 7] { #expect(error(Array(image.prefix(length))) == .notAnImage) }
        for length in [8, 4095] {
            #expect(error(Array(image.prefix(length))) == .wrongLength(expected: 4096, actual: length))
        }
        for length in [4096, image.count - 1] {
            #expect(
                error(Array(image.prefix(length)))
                    == .wrongLength(expected: UInt64(image.count), actual: length))
        }
        #expect(error([UInt8](repeating: 0, count: 8192)) == .notAnImage)
        var bytes = image
        bytes[8] = 9
        #expect(error(bytes) == .unknownVersion(9))
        for offset in stride(from: 16, to: 4096, by: 31) {
            bytes = image
            bytes[offset] ^= 0x10
            #expect(error(bytes) == .badChecksum)
        }
        if case .tooLarge(let needed, 16384)? = error(image, memory: 16384) {
            #expect(needed > 16384)
        } else {
            Issue.record("it cannot fit")
        }
        let changes: [(inout StoreHeader) -> Void] = [
            { $0.bucketCount = 1000 }, { $0.bucketCount = 1 << 29 }, { $0.bucketCount = 0 },
            { $0.bucketCount = 1 << 40 }, { $0.top = 4096 }, { $0.top = 1 << 40 }, { $0.top += 8 },
            { $0.top = -8 }, { $0.count = 1 << 30 }, { $0.usedBytes = 1 << 50 }, { $0.freeBytes = -1 },
            { $0.epoch = 0 }, { $0.epoch = StoreHeader.epochLimit }, { $0.lists[3] = 8 },
            { $0.lists[3] = 1 << 40 }, { $0.lists[3] = -32 },
        ]
        for (number, change) in changes.enumerated() {
            guard case .badHeader? = error(image, change: change) else {
                Issue.record("change \(number) was taken")
                continue
            }
        }
    }
}
