internal import EventReactor
internal import Faultline
internal import Userfault

/// Bytes on their way in or out, one after the other. Loop thread only.
final class FrameBuffer {
    private var mapping: Mapping
    private var start = 0
    private var end = 0

    init(capacity: Int) throws(SystemFailure) {
        mapping = try Mapping.anonymous(byteCount: max(capacity, 4096))
    }

    /// Bytes that have been put in and not been taken out.
    var count: Int { end - start }

    /// Makes room for so many bytes at the end.
    private func makeRoom(_ byteCount: Int) throws(SystemFailure) {
        guard mapping.byteCount - end < byteCount else { return }
        if mapping.byteCount - count >= byteCount, start >= count {
            let bytes = start..<end
            mapping.withBytes(bytes) { mapping.write($0, at: 0) }
        } else {
            var capacity = mapping.byteCount
            while capacity - count < byteCount { capacity *= 2 }
            let larger = try Mapping.anonymous(byteCount: capacity)
            mapping.withBytes(start..<end) { larger.write($0, at: 0) }
            mapping = larger
        }
        end = count
        start = 0
    }

    func clear() { (start, end) = (0, 0) }

    /// Lends what is there to `body`.
    func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try mapping.withBytes(start..<end, body)
    }

    /// Lends a part of what is there to `body`.
    func withBytes<R, E: Error>(_ part: Range<Int>, _ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        precondition(part.upperBound <= count)
        return try mapping.withBytes(start + part.lowerBound..<start + part.upperBound, body)
    }

    /// Takes bytes out at the beginning.
    func drop(_ byteCount: Int) {
        precondition(byteCount <= count)
        start += byteCount
        if start == end { clear() }
    }

    // MARK: In

    /// Receives what there is, as much as there is room for, which is made for so many bytes at least.
    ///
    /// - Returns: what came, and whether there was room for more.
    func receive(_ stream: DirectStream, room least: Int) throws(SystemFailure) -> (
        DirectStream.Received, Bool
    ) {
        try makeRoom(least)
        let room = mapping.byteCount - end
        var received = DirectStream.Received.nothing
        let appended = mapping.append(end..<end + room) { received = stream.receive(into: &$0) }
        end += appended
        return (received, appended < room)
    }

    // MARK: Out

    /// Appends a frame, the contents of which `fill` writes.
    func append<E: Error>(
        _ header: FrameHeader, byteCount: Int, _ fill: (inout MutableRawSpan) throws(E) -> Void
    ) throws(E) -> Bool {
        var header = header
        header.payloadByteCount = byteCount
        do { try makeRoom(FrameHeader.byteCount + byteCount) } catch { return false }
        let payload = end + FrameHeader.byteCount..<end + FrameHeader.byteCount + byteCount
        if byteCount > 0 {
            try mapping.withMutableBytes(payload, fill)
            header.payloadChecksum = mapping.withBytes(payload) { $0.checksum }
        }
        mapping.withMutableBytes(end..<payload.lowerBound) { header.encode(into: &$0) }
        end = payload.upperBound
        return true
    }

    /// Appends a frame. False when there is no memory.
    func append(_ header: FrameHeader, _ contents: RawSpan) -> Bool {
        append(header, byteCount: contents.byteCount) { $0.copy(contents) }
    }

    /// As the other form.
    func append(_ header: FrameHeader, _ contents: [UInt8] = []) -> Bool {
        append(header, byteCount: contents.count) { $0.copy(contents) }
    }

    /// Appends a frame with what lies in a source, read by the kernel: a file that has become shorter is an error then, not a
    /// signal (process_vm_readv(2)).
    ///
    /// - Returns: false when not all of the bytes can be read; nothing is appended then.
    func append(_ header: FrameHeader, from source: PageSource, _ bytes: Range<Int>) throws(SystemFailure)
        -> Bool
    {
        try makeRoom(FrameHeader.byteCount + bytes.count)
        let range = AddressRange(
            start: source.range.start + UInt(bytes.lowerBound), byteCount: bytes.count)
        let payload = end + FrameHeader.byteCount
        guard try mapping.read(range, to: payload) == bytes.count else { return false }
        var header = header
        header.payloadByteCount = bytes.count
        header.payloadChecksum = mapping.withBytes(payload..<payload + bytes.count) { $0.checksum }
        mapping.withMutableBytes(end..<payload) { header.encode(into: &$0) }
        end = payload + bytes.count
        return true
    }

    /// Sends as much as the socket takes.
    func send(_ stream: DirectStream) throws(ReactorError) -> Int {
        var total = 0
        while count > 0 {
            let sent = try mapping.withBytes(start..<end) { bytes throws(ReactorError) in
                try stream.send(bytes)
            }
            guard sent > 0 else { break }
            total += sent
            drop(sent)
        }
        return total
    }
}
