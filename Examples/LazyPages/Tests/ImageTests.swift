import CheckpointImages
import Testing

/// Writes messages and images as they ought to be, and others.
struct Writer {
    var bytes: [UInt8] = []

    static func image(_ kind: ImageFile.Kind, _ records: [Writer]) -> [UInt8] {
        var image = Writer()
        image.word(ImageFile.commonMagic)
        image.word(kind.rawValue)
        for record in records {
            image.word(UInt32(record.bytes.count))
            image.bytes += record.bytes
        }
        return image.bytes
    }

    mutating func word(_ value: UInt32) {
        for shift in [0, 8, 16, 24] { bytes.append(UInt8(value >> shift & 0xFF)) }
    }

    mutating func varint(_ value: UInt64) {
        var value = value
        while value > 0x7F {
            bytes.append(UInt8(value & 0x7F) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    func with(_ field: UInt64, _ value: UInt64) -> Writer {
        var writer = self
        writer.varint(field << 3)
        writer.varint(value)
        return writer
    }

    func with(_ field: UInt64, _ inner: Writer) -> Writer {
        var writer = self
        writer.varint(field << 3 | 2)
        writer.varint(UInt64(inner.bytes.count))
        writer.bytes += inner.bytes
        return writer
    }

    static func area(_ start: UInt64, _ end: UInt64, flags: UInt64 = 0x22, status: UInt64 = 0x201) -> Writer {
        Writer().with(1, start).with(2, end).with(3, 0).with(5, 3).with(6, flags).with(7, status).with(8, 1)
    }

    static func areaOfPages(_ start: UInt64, _ end: UInt64, flags: UInt64 = 0x22) -> Writer {
        area(start * 4096, end * 4096, flags: flags)
    }

    static func runOfPages(_ start: UInt64, _ pages: UInt64, flags: UInt64 = 6) -> Writer {
        run(start * 4096, pages, flags: flags)
    }

    static func run(_ start: UInt64, _ pages: UInt64, flags: UInt64 = 6) -> Writer {
        Writer().with(1, start).with(2, 0).with(4, flags).with(5, pages)
    }
}

private func code(_ body: () throws -> Void) -> ImageError.Code? {
    do { try body() } catch { return (error as? ImageError)?.code }
    return nil
}

struct ImageTests {
    private let page: UInt64 = 4096

    private func map(_ areas: [Writer]) throws -> MemoryMap {
        let message = areas.reduce(Writer().with(1, 1).with(13, 7)) { $0.with(14, $1) }
        return try MemoryMap(decoding: Writer.image(.memoryMap, [message.with(15, 1)]))
    }

    private func pages(_ runs: [Writer]) throws -> PageMap {
        try PageMap(decoding: Writer.image(.pageMap, [Writer().with(1, 5)] + runs))
    }

    @Test func `fields that nobody knows are passed over`() throws {
        var message = Writer().with(1, 42)
        message.bytes += [9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8, 10 << 3 | 5, 1, 2, 3, 4]
        message = message.with(536_870_911, Writer().with(1, 99)).with(5, 43)
        let tree = try ProcessTree(decoding: Writer.image(.processTree, [message, Writer().with(1, 7)]))
        #expect(tree.processIDs == [42, 7])
    }

    @Test func `what is no message is refused`() {
        let high = [UInt8](repeating: 0xFF, count: 9)
        let endless = [UInt8](repeating: 0x80, count: 11)
        let cases: [([UInt8], ImageError.Code)] = [
            ([0x00, 1], .malformed),  // field 0
            ([0x08], .truncated), ([0x08, 0x80], .truncated), ([0x0A, 5, 1], .truncated),
            ([0x09, 1, 2], .truncated), ([0x0D, 1], .truncated), ([0x0B], .malformed), ([0x0F], .malformed),
            ([0x0A, 1, 1], .malformed),  // a process's number that is a message
            ([0x08, 0], .outOfRange), ([0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F], .outOfRange),
            ([0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0x1F], .outOfRange), ([], .malformed),
        ]
        let long: [([UInt8], ImageError.Code)] = [
            ([0x08] + high + [2], .malformed), ([0x08] + endless, .malformed),
            // 2^64 - 1 bytes
            ([0x0A] + high + [1], .truncated),
        ]
        for (bytes, expected) in cases + long {
            let image = Writer.image(.processTree, [Writer(bytes: bytes)])
            #expect(code { _ = try ProcessTree(decoding: image) } == expected, "\(bytes)")
        }
    }

    @Test func `what is no image is refused`() {
        let good = Writer.image(.processTree, [Writer().with(1, 7)])
        for length in 0..<good.count where length != 8 {
            #expect(
                code { _ = try ProcessTree(decoding: Array(good.prefix(length))) } == .truncated, "\(length)")
        }
        #expect(code { _ = try ProcessTree(decoding: Array(good.prefix(8))) } == .malformed)
        #expect(code { _ = try MemoryMap(decoding: good) } == .wrongKind)
        #expect(code { _ = try ProcessTree(decoding: [0] + good.dropFirst()) } == .wrongKind)
        let twice = Writer.image(.processTree, [Writer().with(1, 7), Writer().with(1, 7)])
        #expect(code { _ = try ProcessTree(decoding: twice) } == .malformed)
    }

    @Test func `only private anonymous memory of ordinary pages may be lazy`() throws {
        let kinds: [(flags: UInt64, status: UInt64, isLazy: Bool)] = [
            (0x22, 0x201, true), (0x21, 0x101, false), (0x02, 0x41, false), (0x2022, 0x201, false),
            (0x40022, 0x201, false), (0x22, 0x209, false), (0x22, 0x1201, false), (0x122, 0x203, true),
        ]
        var areas: [Writer] = []
        for (index, kind) in kinds.enumerated() {
            let start = UInt64(index + 1) * page
            areas.append(.area(start, start + page, flags: kind.flags, status: kind.status))
        }
        // The kernel's own page, and marks of guards within a mapping.
        areas.append(.area(0xFFFF_FFFF_FF60_0000, 0xFFFF_FFFF_FF60_1000, status: 0x4))
        areas.append(.area(page, 2 * page, status: 0x10201))
        #expect(try map(areas).areas.map(\.mayBeLazy) == kinds.map(\.isLazy) + [false])
    }

    @Test func `mappings that cannot be are refused`() {
        let cases: [([Writer], ImageError.Code)] = [
            ([.area(page, page)], .outOfRange), ([.area(2 * page, page)], .outOfRange),
            ([.area(page + 1, 2 * page)], .outOfRange), ([.area(page, 2 * page - 1)], .outOfRange),
            ([.area(page, 1 << 58)], .outOfRange),
            ([.area(page, 3 * page), .area(2 * page, 4 * page)], .malformed),
            ([.area(4 * page, 5 * page), .area(page, 2 * page)], .malformed),
            ([Writer().with(1, page)], .malformed),
        ]
        for (areas, expected) in cases { #expect(code { _ = try map(areas) } == expected) }
        let two = Writer.image(.memoryMap, [Writer(), Writer()])
        #expect(code { _ = try MemoryMap(decoding: two) } == .malformed)
    }

    @Test func `pages lie behind each other, those that are absent take no room`() throws {
        let map = try pages([
            .run(page, 3), .run(4 * page, 2, flags: 4), .run(10 * page, 1, flags: 2),
            .run(20 * page, 1, flags: 1),
            Writer().with(1, 30 * page).with(2, 2), Writer().with(1, 40 * page).with(2, 1).with(3, 1),
            .run(50 * page, 5),
        ])
        #expect(map.pagesID == 5)
        #expect(map.runs.map(\.offset) == [0, 3 * page, nil, nil, 5 * page, nil, 7 * page])
        #expect(map.runs.map(\.isLazy) == [true, false, true, false, false, false, true])
        #expect(map.runs.map(\.isInParent) == [false, false, false, true, false, true, false])
        #expect(map.pagesByteCount == 12 * page)
    }

    @Test func `runs that cannot be are refused`() {
        let cases: [([Writer], ImageError.Code)] = [
            ([.run(page, 0)], .outOfRange), ([.run(page + 8, 1)], .outOfRange),
            ([.run(1 << 57, 1)], .outOfRange),
            ([.run(page, .max)], .outOfRange), ([.run(page, 1 << 52)], .outOfRange),
            ([.run(page, 2), .run(2 * page, 1)], .malformed), ([Writer().with(4, 6)], .malformed),
        ]
        for (runs, expected) in cases { #expect(code { _ = try pages(runs) } == expected) }
        #expect(code { _ = try PageMap(decoding: Writer.image(.pageMap, [])) } == .truncated)
        #expect(code { _ = try PageMap(decoding: Writer.image(.pageMap, [Writer()])) } == .malformed)
    }

    @Test func `pieces end where their mappings end`() throws {
        let areas: [Writer] = [
            .areaOfPages(1, 4), .areaOfPages(4, 8), .areaOfPages(8, 9, flags: 0x2022), .areaOfPages(20, 30),
        ]
        let map = try map(areas)
        let runs: [Writer] = [
            .runOfPages(2, 10), .runOfPages(15, 1, flags: 4), .runOfPages(22, 1), .runOfPages(25, 9),
        ]
        let memory = try LazyMemory(map, try pages(runs), isLocal: true)
        let pieces = memory.pieces.map { piece -> [UInt64] in
            [piece.range.lowerBound / page, piece.range.upperBound / page, (piece.offset ?? 1) / page]
        }
        #expect(pieces == [[2, 4, 0], [4, 8, 2], [22, 23, 11], [25, 30, 12]])
        // A locked one, three pages without a mapping, and four behind the last.
        #expect(memory.misplacedByteCount == 8 * page)
        #expect(memory.byteCount == 12 * page)
        let elsewhere = try pages([.runOfPages(1, 1, flags: 2)])
        #expect(code { _ = try LazyMemory(map, elsewhere, isLocal: true) } == .unsupported)
        let remote = try LazyMemory(map, elsewhere, isLocal: false)
        #expect(remote.pieces.map(\.offset) == [nil])
    }

    @Test func `frames go there and back, and answers must fit`() throws {
        let request = PageFrame(.get, pageCount: 3, address: 0x7F12_3456_7000, processID: 77)
        #expect(request.encoded.prefix(4) == [7, 0, 0, 0] && request.encoded.count == 32)
        #expect(PageFrame(decoding: request.encoded) == request)
        #expect(PageFrame(decoding: Array(request.encoded.dropLast())) == nil)
        var answer = request
        answer.command = .pages
        #expect(answer.encoded.prefix(4) == [6, 0, 4, 0])
        for count in 0...4 {
            answer.pageCount = UInt64(count)
            #expect((answer.problem(asAnswerTo: request) == nil) == (1...3).contains(count))
        }
        answer.pageCount = 1
        answer.processID = 78
        #expect(answer.problem(asAnswerTo: request) != nil)
        #expect(request.problem(asAnswerTo: request) != nil)
        // To nothing, there is no answer.
        #expect(answer.problem(asAnswerTo: PageFrame(.get)) != nil)
    }

    /// Decoders throw or make something of it: they never trap.
    @Test func `images with any damage are refused or read`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("damage with seed \(seed)")
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        let map = Writer.image(
            .memoryMap, [Writer().with(14, .area(page, 9 * page)).with(14, .area(9 * page, 20 * page))])
        let runs = Writer.image(
            .pageMap, [Writer().with(1, 5), .run(2 * page, 3), .run(8 * page, 5, flags: 2)])
        for _ in 0..<20_000 {
            var (first, second) = (map, runs)
            for _ in 0...random(3) {
                first[random(first.count)] = UInt8(random(256))
                second[random(second.count)] = UInt8(random(256))
            }
            if random(4) == 0 { first.removeLast(random(first.count)) }
            _ = try? ProcessTree(decoding: first)
            let pages = try? PageMap(decoding: second)
            let areas = try (try? MemoryMap(decoding: first)) ?? MemoryMap(decoding: map)
            guard let pages, let memory = try? LazyMemory(areas, pages, isLocal: random(2) == 0) else {
                continue
            }
            for piece in memory.pieces {
                #expect(
                    areas.areas.contains { $0.mayBeLazy && $0.range.contains(piece.range.lowerBound) },
                    "\(seed)")
            }
        }
    }
}
