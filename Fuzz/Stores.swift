// Images of a store of keys and values: whole ones keep what a dictionary keeps; of damaged ones nothing is expected but that nobody
// reads or writes outside of the image, and that whatever is done ends.

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    switch input.byte() % 4 {
    case 0:
        let bytes = input.rest()
        check(header: bytes + [UInt8](repeating: 0, count: max(0, 8192 - bytes.count)))
    case 1: check(dictionary: &input)
    default: check(damaged: &input)
    }
    return 0
}

/// Whoever asks for what lies outside traps.
final class ArrayMemory: StoreMemory {
    var bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var byteCount: Int { bytes.count }

    func load(_ offset: Int) -> UInt64 {
        (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * UInt64($1)) }
    }

    func store(_ value: UInt64, _ offset: Int) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }

    func write(_ new: [UInt8], _ offset: Int) {
        precondition(offset >= StoreHeader.byteCount || new.count == StoreHeader.byteCount)
        for (index, byte) in new.enumerated() { bytes[offset + index] = byte }
    }

    func withBytes<R>(_ range: Range<Int>, _ body: (RawSpan) -> R) -> R { body(bytes[range].span.bytes) }
}

/// Checksums that random bytes do not have, and the beginning.
func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    func put(_ value: UInt64, _ offset: Int) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
    put(StoreHeader.magic, 0)
    put(UInt64(StoreHeader.version), 8)
    var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    for (index, byte) in bytes.prefix(StoreHeader.byteCount).enumerated() where !(120..<128).contains(index) {
        sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3
    }
    put(sum, 120)
    return bytes
}

func check(header bytes: [UInt8]) {
    for bytes in [bytes, sealed(bytes)] {
        guard let header = try? StoreHeader(bytes, imageByteCount: bytes.count, memoryByteCount: bytes.count)
        else { continue }
        check(header.heapStart <= header.top && header.top <= bytes.count, "blocks outside of the image")
        let again = try? StoreHeader(
            header.encoded, imageByteCount: bytes.count, memoryByteCount: bytes.count)
        check(again == header, "another header")
    }
}

let names: [[UInt8]] = (0..<12).map { Array("k\($0)".utf8) }

/// A command and what it is about.
func request(_ input: inout Input) -> (StoreCommand, [[UInt8]]) {
    let commands = [
        "SET", "SET", "DEL", "APPEND", "GET", "INCR", "MSET", "KEYS", "SCAN", "FLUSHALL", "MGET", "DECRBY",
        "EXISTS",
    ].compactMap { StoreCommand(rawValue: $0) }
    let command = commands[input.byte() % commands.count]
    let key = names[input.byte() % names.count]
    let value = [UInt8](repeating: UInt8(ascii: "7"), count: input.byte() * (input.byte() % 8))
    let arguments: [[UInt8]] =
        switch command {
        case .set, .append, .decrby: [key, value]
        case .mset: [key, value, names[input.byte() % names.count], value]
        case .keys: [input.run()]
        case .scan:
            [
                Array("\(input.number(input.byte() % 9))".utf8), Array("COUNT".utf8),
                Array("\(input.byte())".utf8),
            ]
        case .flushall: input.byte() % 8 == 0 ? [] : [key]
        default: [key]
        }
    return (command, [Array(command.rawValue.utf8)] + arguments)
}

/// The sum of the blocks is what the header says.
func isSound(_ store: Store<ArrayMemory>) throws(StoreError) -> Bool {
    var (offset, used, free, count) = (store.header.heapStart, 0, 0, 0)
    while offset < store.header.top {
        let found = try store.tag(offset)
        if found.isFree {
            free += SizeClasses.sizes[found.sizeClass]
        } else {
            let block = try store.block(offset)
            used += block.keyLength + block.valueLength
            count += 1
        }
        offset += SizeClasses.sizes[found.sizeClass]
    }
    return offset == store.header.top && used == store.header.usedBytes && free == store.header.freeBytes
        && count == store.header.count
}

func check(dictionary input: inout Input) {
    let byteCount = 20 << 10
    let memory = ArrayMemory([UInt8](repeating: 0, count: byteCount))
    guard let header = try? StoreHeader(capacity: byteCount) else { return check(false, "no room") }
    var store = Store(header, in: memory)
    var model: [[UInt8]: [UInt8]] = [:]
    while !input.isEmpty {
        let (command, request) = request(&input)
        var reply = Reply()
        command.execute(request, in: &store, reply: &reply)
        check(reply.bytes.count > 2, "no reply")
        if reply.bytes.first == UInt8(ascii: "-") { continue }
        switch command {
        case .set: model[request[1]] = request[2]
        case .mset:
            model[request[1]] = request[2]
            model[request[3]] = request[4]
        case .append: model[request[1], default: []] += request[2]
        case .del: model[request[1]] = nil
        case .flushall: model = [:]
        case .incr, .decrby: model[request[1]] = Array(reply.bytes.dropFirst().dropLast(2))
        case .get:
            var expected = Reply()
            expected.bulk(model[request[1]])
            check(reply.bytes, expected.bytes)
        default: break
        }
    }
    do {
        check(try isSound(store), "what the header says is not so")
        store.seal(at: 1)
        let again = try StoreHeader(
            Array(memory.bytes.prefix(StoreHeader.byteCount)), imageByteCount: byteCount,
            memoryByteCount: byteCount)
        let restored = Store(again, in: ArrayMemory(memory.bytes))
        check(again.count == model.count, "keys are counted wrongly")
        for (key, value) in model { check(try restored.value(key) == value, "a value is lost") }
    } catch {
        check(false, "an image that is whole is damaged: \(error)")
    }
}

/// A header that is taken, and behind it whatever comes.
func check(damaged input: inout Input) {
    let byteCount = StoreHeader.byteCount + 32 + 64 * 32
    var bytes = [UInt8](repeating: 0, count: byteCount)
    func put(_ value: Int, _ offset: Int) {
        for index in 0..<8 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
    put(byteCount, 16)
    put(4, 32)
    let heap = StoreHeader.byteCount + 32
    put(heap + input.byte() % 65 * 32, 48)
    for offset in [56, 64, 72] { put(input.byte(), offset) }
    put(1, 80)
    put(input.byte(), 88)
    for _ in 0..<input.byte() % 8 { put(heap + input.byte() % 64 * 32, 128 + input.byte() % 24 * 8) }
    // Buckets, and blocks that may be some.
    for bucket in 0..<4 { put(1 << 40 | (heap / 32 + input.byte() % 64), StoreHeader.byteCount + bucket * 8) }
    for _ in 0..<input.byte() % 48 {
        let offset = heap + input.byte() % 64 * 32
        let tag = [0xE7, 0xE7, 0x5F, 0][input.byte() % 4]
        put(tag << 56 | (input.byte() % 24) << 48 | (heap / 32 + input.byte() % 64), offset)
        put(input.byte() % 3 << 32 | input.byte() % 96, offset + 8)
        bytes.replaceSubrange(offset + 16..<offset + 18, with: names[input.byte() % 10])
    }
    guard
        let header = try? StoreHeader(
            Array(sealed(bytes).prefix(StoreHeader.byteCount)), imageByteCount: byteCount,
            memoryByteCount: byteCount)
    else { return }
    let memory = ArrayMemory(bytes)
    var store = Store(header, in: memory)
    while !input.isEmpty {
        let (command, request) = request(&input)
        var reply = Reply()
        command.execute(request, in: &store, reply: &reply)
        check(reply.bytes.count > 2, "no reply")
        check(store.header.top >= heap && store.header.top <= byteCount, "blocks outside of the image")
    }
    // What is kept of it can be read again, however little that is.
    store.seal(at: 1)
    let sealed = Array(memory.bytes.prefix(StoreHeader.byteCount))
    let again = try? StoreHeader(sealed, imageByteCount: byteCount, memoryByteCount: byteCount)
    check(again != nil, "an image is written that nobody reads")
}
