// The images of a checkpoint, and what page servers say. What is made of them is written again and read again, and the lazy memory
// of a process is counted page by page.

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    switch input.byte() % 7 {
    case 0: check(tree: image(.processTree, &input))
    case 1: check(map: image(.memoryMap, &input))
    case 2: check(pages: image(.pageMap, &input))
    case 3: check(memoryOf: &input)
    case 4: check(frame: input.rest())
    case 5:
        let message = input.rest()
        check(message: message, 0..<message.count, depth: 3)
    default:
        let bytes = input.rest()
        check(tree: bytes)
        check(map: bytes)
        check(pages: bytes)
    }
    return 0
}

let page: UInt64 = 4096

/// An image that begins as it should, of the records that the input has.
func image(_ kind: ImageFile.Kind, _ input: inout Input) -> [UInt8] {
    var records: [[UInt8]] = []
    while !input.isEmpty { records.append(input.run()) }
    return image(kind, records)
}

func image(_ kind: ImageFile.Kind, _ records: [[UInt8]]) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    return word(Int(ImageFile.commonMagic)) + word(Int(kind.rawValue))
        + records.flatMap { word($0.count) + $0 }
}

func varint(_ value: UInt64) -> [UInt8] {
    value < 0x80 ? [UInt8(value)] : [UInt8(value & 0x7F) | 0x80] + varint(value >> 7)
}

func field(_ number: UInt64, _ value: UInt64) -> [UInt8] { varint(number << 3) + varint(value) }
func field(_ number: UInt64, _ message: [UInt8]) -> [UInt8] {
    varint(number << 3 | 2) + varint(UInt64(message.count)) + message
}

func message(_ area: MemoryMap.Area) -> [UInt8] {
    field(1, area.range.lowerBound) + field(2, area.range.upperBound) + field(6, UInt64(area.flags))
        + field(7, UInt64(area.status))
}

func message(_ run: PageMap.Run) -> [UInt8] {
    let flags: UInt64 = (run.isLazy ? 2 : 0) | (run.offset == nil ? 0 : 4) | (run.isInParent ? 1 : 0)
    return field(1, run.start) + field(2, 0) + field(4, flags) + field(5, run.pageCount)
}

func check(tree bytes: [UInt8]) {
    guard let tree = try? ProcessTree(decoding: bytes) else { return }
    check(!tree.processIDs.isEmpty && tree.processIDs.allSatisfy { $0 > 0 }, "processes without numbers")
    check(Set(tree.processIDs).count == tree.processIDs.count, "two processes of one number")
    let again = image(.processTree, tree.processIDs.map { field(1, UInt64($0)) })
    check((try? ProcessTree(decoding: again)) == tree, "another tree")
}

@discardableResult
func check(map bytes: [UInt8]) -> MemoryMap? {
    guard let map = try? MemoryMap(decoding: bytes) else { return nil }
    var last: UInt64 = 0
    for area in map.areas {
        let range = area.range
        check(range.lowerBound >= last && !range.isEmpty, "mappings overlap, or are empty")
        check(range.lowerBound % page == 0 && range.upperBound % page == 0, "half a page")
        last = range.upperBound
    }
    let again = image(.memoryMap, [map.areas.flatMap { field(14, message($0)) }])
    check((try? MemoryMap(decoding: again)) == map, "another map")
    return map
}

@discardableResult
func check(pages bytes: [UInt8]) -> PageMap? {
    guard let map = try? PageMap(decoding: bytes) else { return nil }
    var (last, offset): (UInt64, UInt64) = (0, 0)
    for run in map.runs {
        check(run.start >= last && run.start % page == 0 && run.pageCount > 0, "runs overlap, or are empty")
        last = run.start + run.pageCount * page
        check(last <= 1 << 57, "pages where there are no addresses")
        guard let place = run.offset else { continue }
        check(place == offset, "a run is not behind the one before")
        offset += run.pageCount * page
    }
    check(map.pagesByteCount == offset, "the length of the pages")
    let again = image(.pageMap, [field(1, UInt64(map.pagesID))] + map.runs.map(message))
    check((try? PageMap(decoding: again)) == map, "other pages")
    return map
}

/// Mappings and runs of few pages, made from the input, and what must become of each page.
func check(memoryOf input: inout Input) {
    var areas: [[UInt8]] = []
    var runs: [[UInt8]] = []
    let isLocal = input.byte() % 2 == 0
    var position: UInt64 = 0
    for _ in 0..<input.byte() % 24 {
        let start = position + UInt64(input.byte() % 8)
        position = start + UInt64(input.byte() % 16)
        let flags: UInt64 = [0x22, 0x22, 0x22, 0x21, 0x2022, 0x40022][input.byte() % 6]
        areas.append(
            field(1, start * page) + field(2, position * page) + field(6, flags)
                + field(7, UInt64(input.byte())))
    }
    position = 0
    for _ in 0..<input.byte() % 24 {
        let start = position + UInt64(input.byte() % 8)
        let count = UInt64(input.byte() % 32)
        position = start + count
        runs.append(
            field(1, start * page) + field(2, 0) + field(4, UInt64(input.byte() % 8)) + field(5, count))
    }
    guard let map = check(map: image(.memoryMap, [areas.flatMap { field(14, $0) }])),
        let pages = check(pages: image(.pageMap, [field(1, 1)] + runs))
    else { return }
    let lacking = pages.runs.contains { $0.isLazy && $0.offset == nil }
    guard let memory = try? LazyMemory(map, pages, isLocal: isLocal) else {
        return check(isLocal && lacking, "refused for nothing")
    }
    check(!(isLocal && lacking), "pages that are not there are taken")
    check(memory, map, pages)
}

func check(_ memory: LazyMemory, _ map: MemoryMap, _ pages: PageMap) {
    // Where each page that is to come lies in the image; nil within where it does not.
    var expected: [UInt64: UInt64?] = [:]
    var lazy: UInt64 = 0
    for run in pages.runs where run.isLazy {
        lazy += run.pageCount
        for index in 0..<run.pageCount {
            let address = run.start + index * page
            if map.areas.contains(where: { $0.mayBeLazy && $0.range.contains(address) }) {
                expected[address] = .some(run.offset.map { $0 + index * page })
            }
        }
    }
    var last: UInt64 = 0
    for piece in memory.pieces {
        check(piece.range.lowerBound >= last && !piece.range.isEmpty, "pieces overlap, or are empty")
        check(
            map.areas.contains {
                $0.range.contains(piece.range.upperBound - 1)
                    && $0.range.contains(piece.range.lowerBound)
            }, "a piece of two mappings")
        last = piece.range.upperBound
        for address in stride(from: piece.range.lowerBound, to: last, by: Int(page)) {
            let offset = piece.offset.map { $0 + address - piece.range.lowerBound }
            check(expected.removeValue(forKey: address) == .some(offset), "a page that is not to come")
        }
    }
    check(expected.isEmpty, "\(expected.count) pages never come")
    check(memory.byteCount + memory.misplacedByteCount == lazy * page, "pages are counted wrongly")
}

func check(frame bytes: [UInt8]) {
    guard let frame = PageFrame(decoding: bytes) else {
        return check(bytes.count != PageFrame.byteCount, "a frame that is none")
    }
    // Four bytes mean nothing.
    check(bytes[..<4] + [0, 0, 0, 0] + bytes[8...] == frame.encoded[...], "another frame")
    for count: UInt64 in [0, 1, frame.pageCount, .max] {
        let request = PageFrame(.get, pageCount: count, address: frame.address, processID: frame.processID)
        let fits = frame.command == .pages && frame.pageCount > 0 && frame.pageCount <= count
        check((frame.problem(asAnswerTo: request) == nil) == fits, "an answer that does not fit")
    }
}

/// The fields of a message follow each other, and whatever is nested lies within.
func check(message bytes: [UInt8], _ range: Range<Int>, depth: Int) {
    var reader = ProtobufReader(bytes, range)
    var position = range.lowerBound
    while let field = try? reader.next() {
        check(field.offset == position && field.number > 0 && field.number < 1 << 29, "a field out of place")
        switch field.value {
        case .bytes(let inner):
            check(inner.lowerBound > position && inner.upperBound <= range.upperBound, "a field too long")
            position = inner.upperBound
            if depth > 0 { check(message: bytes, inner, depth: depth - 1) }
        case .varint:
            // The tag and the number, each to the first byte without the upper bit.
            for _ in 0..<2 {
                while bytes[position] & 0x80 != 0 { position += 1 }
                position += 1
            }
        case .fixed:
            let isLong = bytes[position] & 7 == 1
            while bytes[position] & 0x80 != 0 { position += 1 }
            position += 1 + (isLong ? 8 : 4)
        }
    }
}
