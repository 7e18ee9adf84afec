// What a process says of the memory that it hands over, and traces of touches, which are kept in files.

import Userfault

@testable import Faultline

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    switch input.byte() % 4 {
    case 0: check(description: input.rest(), at: 0)
    case 1:
        let cut = input.byte()
        check(description: description(&input), at: cut)
    case 2: check(trace: input.rest())
    default: check(trace: sealed(Array("FLTT".utf8) + [1] + input.rest()))
    }
    return 0
}

/// Areas that may be all right: numbers of pages, now and then something else.
func description(_ input: inout Input) -> [UInt8] {
    var bytes = Array("FLMD".utf8) + [1, 0, 0, 0]
    let count = input.byte() % 8
    bytes.append(UInt64(count), byteCount: 4)
    bytes.append(0, byteCount: 4)
    for _ in 0..<count {
        let huge = input.byte() % 4 == 0
        let page: UInt64 = huge ? 2 << 20 : 4096
        let isOdd = input.byte() % 32 == 0
        for _ in 0..<3 { bytes.append(isOdd ? input.number(8) : input.number(2) &* page, byteCount: 8) }
        bytes.append(page, byteCount: 8)
        bytes.append(huge ? 2 : UInt64(input.byte() % 2), byteCount: 4)
        bytes.append(isOdd ? input.number(4) : 0, byteCount: 4)
    }
    return bytes
}

func check(description bytes: [UInt8], at cut: Int) {
    do throws(MemoryDescriptionError) {
        let description = try MemoryDescription(decoding: bytes)
        check(bytes, description.encoded())
        check(description)
        // As long as something is missing, nothing is told; one byte more is one too many.
        for end in [0, cut % bytes.count, bytes.count - 1] {
            let early = try MemoryDescription.decodeIfComplete(Array(bytes[..<end]))
            check(early == nil, "a description before its end")
        }
        check((try? MemoryDescription(decoding: bytes + [0])) == nil, "a description beyond its end")
    } catch {
        check(!error.description.isEmpty, "an error without a word")
    }
}

func check(_ description: MemoryDescription) {
    let areas = description.areas.sorted { $0.range.start < $1.range.start }
    check(!areas.isEmpty, "a description of nothing")
    var last: UInt = 1
    for area in areas {
        check(area.range.start >= last && area.range.byteCount > 0, "areas overlap, or are empty")
        check(area.range.end > area.range.start && area.range.end <= UInt(Int.max), "the kernel's half")
        check(area.range.isAligned(to: area.pageSize), "half a page")
        check(area.offset >= 0 && area.offset <= Int.max - area.range.byteCount, "beyond every store")
        last = area.range.end
    }
    check(description.byteCount > 0, "no bytes")
    let sum = description.byteCount
    check(
        (try? description.check(.init(areaCount: areas.count, byteCount: sum))) != nil, "the limits are kept")
    check((try? description.check(.init(areaCount: areas.count, byteCount: sum - 1))) == nil, "too much")
    check((try? description.check(.init(areaCount: areas.count - 1, byteCount: sum))) == nil, "too many")
}

func check(trace bytes: [UInt8]) {
    do throws(TouchTraceError) {
        let trace = try TouchTrace(decoding: bytes)
        check(trace.pageSize > 0 && trace.runs.count <= bytes.count, "more runs than bytes")
        for run in trace.runs {
            check(!run.isEmpty && run.lowerBound >= 0, "no pages")
            check(!run.upperBound.multipliedReportingOverflow(by: trace.pageSize).overflow, "too far")
        }
        check(try TouchTrace(decoding: trace.encoded()) == trace, "another trace")
    } catch {
        check(!error.description.isEmpty, "an error without a word")
    }
}

/// With the checksum that random bytes do not have.
func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var sealed = bytes
    sealed.append(bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, byteCount: 8)
    return sealed
}
