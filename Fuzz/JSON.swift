// What a monitor of virtual machines says of its guest's memory, in JSON, and in pieces.

import Faultline
import Userfault

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    switch input.byte() % 8 {
    case 0..<4:
        let size = sizes[input.byte() % sizes.count]
        let cut = input.byte()
        check(input.rest(), size, cut)
    case 4, 5: check(textOf: &input)
    case 6: check(numbersOf: &input)
    default: checkTime(input.rest())
    }
    return 0
}

let sizes = [4096, 8192, 2 << 20, 128 << 20, 1 << 40, Int.max]

/// Pieces mean what the whole means.
@discardableResult
func check(_ bytes: [UInt8], _ size: Int, _ cut: Int) -> MemoryDescription? {
    let whole = Result { try GuestRegions.decode(bytes, imageByteCount: size) }
    for end in [0, bytes.count * cut / 256, max(0, bytes.count - 1)] {
        let part = Result { try GuestRegions.decode(Array(bytes[..<end]), imageByteCount: size) }
        switch (part, whole) {
        case (.success(nil), _): break
        case (.success(let early?), .success(let late)): check(early == late, "the end makes another of it")
        // Whoever sends more than the array is refused when that comes.
        case (.success(_?), .failure(let error)): check(error is GuestRegionsError, "\(error)")
        case (.failure, .success): check(false, "a part is refused, and the whole is not")
        case (.failure, .failure): break
        }
    }
    guard let description = (try? whole.get()) ?? nil else { return nil }
    check(description.byteCount == size, "not all of the image")
    for area in description.areas {
        check(area.offset + area.range.byteCount <= size, "beyond the image")
    }
    let again = try? GuestRegions.decode(Array(text(description.areas).utf8), imageByteCount: size)
    check(again == description, "written and read again, it is something else")
    return description
}

func text(_ areas: [MemoryDescription.Area]) -> String {
    let regions = areas.map {
        """
        {"base_host_virt_addr":\($0.range.start),"size":\($0.range.byteCount),"offset":\($0.offset),\
        "page_size":\($0.pageSize)}
        """
    }
    return "[\(regions.joined(separator: ","))]"
}

/// Regions that lie behind each other, written in one of many ways: they are read as they are.
func check(textOf input: inout Input) {
    let fill = [" ", "\n", "\t ", ""]
    func space() -> String { fill[input.byte() % fill.count] }
    let others = [#""a":"]""#, #""b":[{}]"#, #""c":"\\\"""#, #""d":null"#, #""e":"\u005d""#, #""f":-1.5e3"#]
    var areas: [MemoryDescription.Area] = []
    var text = space() + "["
    var (address, offset) = (UInt(1) << 32, 0)
    let count = input.byte() % 6 + 1
    for index in 0..<count {
        let size = (input.byte() + 1) * 4096
        address += UInt(input.byte()) << 12
        areas.append(
            .init(
                AddressRange(start: address, byteCount: size), memory: .privateAnonymous, pageSize: 4096,
                offset: offset))
        var fields = [
            #""base_host_virt_addr":\#(space())\#(address)"#, #""size"\#(space()):\#(size)"#,
            #""offset":\#(offset)"#, input.byte() % 2 == 0 ? #""page_size":4096"# : #""page_size_kib":4096"#,
            others[input.byte() % others.count],
        ]
        fields.swapAt(input.byte() % 5, input.byte() % 5)
        text += "\(space()){\(fields.joined(separator: space() + ","))}\(index == count - 1 ? "" : ",")"
        address += UInt(size)
        offset += size
    }
    text += space() + "]" + space()
    let read = check(Array(text.utf8), offset, input.byte())
    check(read?.areas == areas, "what was said is not what is read: \(text)")
}

/// Regions with numbers at the ends of what there is.
func check(numbersOf input: inout Input) {
    let size = sizes[input.byte() % sizes.count]
    let numbers = [
        0, 1, 4095, 4096, 2 << 20, Int.max, Int.max - 4095, size, size / 2, size - 4096, -1, Int.min,
    ]
    func number() -> Int { numbers[input.byte() % numbers.count] }
    let regions = (0...input.byte() % 4).map { _ in
        let address =
            input.byte() % 2 == 0 ? UInt64(input.byte()) << 40 : UInt64(bitPattern: Int64(number()))
        return """
            {"base_host_virt_addr":\(address),"size":\(number()),"offset":\(number()),\
            "page_size":\(input.byte() % 4 == 0 ? number() : 4096)}
            """
    }
    check(Array("[\(regions.joined(separator: ","))]".utf8), size, 0)
}

/// The time is that of the length.
func checkTime(_ bytes: [UInt8]) {
    guard let many = repeated(bytes, to: 128 << 10) else { return }
    _ = try? GuestRegions.decode(many, imageByteCount: 4096)
    _ = try? GuestRegions.decode(Array("[".utf8) + many + Array("]".utf8), imageByteCount: 4096)
}
