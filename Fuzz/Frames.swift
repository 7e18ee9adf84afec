// Frames of pages between machines: whatever is decoded is encoded to the same bytes again, and nothing is told of a frame before
// it is there.

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    let kind = input.byte()
    let bytes = input.rest()
    switch kind % 5 {
    case 0: check(frame: bytes)
    case 1: check(frame: sealed(bytes))
    case 2: check(bytes, try? Hello(decoding: bytes).encoded)
    case 3: check(bytes, try? Challenge(decoding: bytes).encoded)
    default:
        var reader = ByteReader(bytes)
        guard let terms = try? Terms(&reader) else { break }
        check(Array(bytes.prefix(40)), terms.encoded)
    }
    return 0
}

let limit = 512

/// What would come of random bytes is checksums that are wrong: here they are made right.
func sealed(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    guard bytes.count >= FrameHeader.byteCount else { return bytes }
    func set(_ value: UInt32, at offset: Int) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
    set(FrameHeader.magic, at: 0)
    let length = bytes[32..<36].reversed().reduce(0) { $0 << 8 | Int($1) }
    let end = FrameHeader.byteCount + length
    if end <= bytes.count {
        set(length == 0 ? 0 : Array(bytes[FrameHeader.byteCount..<end]).checksum, at: 36)
    }
    set(Array(bytes[..<44]).checksum, at: 44)
    return bytes
}

func check(frame bytes: [UInt8]) {
    do throws(FrameError) {
        switch try FrameDecoder.next(in: bytes, limit: limit) {
        case .needs(let count):
            precondition(count > bytes.count && count <= FrameHeader.byteCount + limit)
        case .frame(let header):
            let end = FrameHeader.byteCount + header.payloadByteCount
            precondition(end <= bytes.count && header.payloadByteCount <= limit)
            check(Array(bytes[..<FrameHeader.byteCount]), header.encoded)
            // One byte less is no frame yet.
            guard case .needs = try FrameDecoder.next(in: Array(bytes[..<(end - 1)]), limit: limit) else {
                preconditionFailure("a frame before its end")
            }
        }
    } catch {
        precondition(!error.description.isEmpty)
    }
}
