import Faultline
import FaultlineRemote
import FaultlineTestKit
import Testing

/// Frames, without sockets.
@Suite(.timeLimit(.minutes(5)))
struct WireTests {
    let seed = TestSeed()

    static func encode(_ header: FrameHeader, _ payload: [UInt8] = []) -> [UInt8] {
        var header = header
        header.payloadByteCount = payload.count
        if !payload.isEmpty { header.payloadChecksum = payload.checksum }
        return header.encoded + payload
    }

    static func decode(_ bytes: [UInt8], limit: Int = 1 << 20) throws(FrameError) -> FrameDecoder.Step {
        try FrameDecoder.next(in: bytes, limit: limit)
    }

    private func error(_ bytes: [UInt8], limit: Int = 1 << 20) -> FrameError? {
        do throws(FrameError) {
            _ = try Self.decode(bytes, limit: limit)
            return nil
        } catch { return error }
    }

    /// A header that makes sense, with contents.
    private func frame(_ random: inout TestRandom) -> (FrameHeader, [UInt8]) {
        let kind = FrameKind.allCases.randomElement(using: &random) ?? .ping
        var header = FrameHeader(kind)
        var payload = (0..<random.below(300)).map { _ in UInt8.random(in: 0...255, using: &random) }
        if kind == .answer || kind.isRequest && kind != .ping { header.number = random.next() }
        if kind.isRequest, random.chance(50) { header.flags = .urgent }
        switch kind {
        case .read, .trim:
            payload = []
            (header.offset, header.count) = (random.next(), random.next())
        case .write: (header.offset, header.count) = (random.next(), UInt64(payload.count))
        case .flush, .ping: payload = []
        case .refused: header.status = .wrongSecret
        case .answer where random.chance(30):
            payload = []
            header.flags = .zero
        case .answer: header.status = WireStatus.allCases.randomElement(using: &random) ?? .success
        default: break
        }
        header.payloadByteCount = payload.count
        header.payloadChecksum = payload.isEmpty ? 0 : payload.checksum
        return (header, payload)
    }

    @Test func `checksums are those of CRC-32C, with and without the processor's help`() {
        let known: [([UInt8], UInt32)] = [
            ([], 0), (Array("123456789".utf8), 0xE306_9283),
            // RFC 3720, B.4
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E), ((0..<32).reversed(), 0x113F_DB5C),
        ]
        for (bytes, checksum) in known {
            #expect(bytes.checksum == checksum)
            #expect(bytes.portableChecksum == checksum)
        }
        var random = TestRandom(seed)
        let bytes = (0..<10_000).map { _ in UInt8.random(in: 0...255, using: &random) }
        for _ in 0..<300 {
            let start = random.below(200)
            let part = Array(bytes[start..<start + random.below(9_800)])
            #expect(part.checksum == part.portableChecksum, "\(start), \(part.count) bytes; \(seed)")
        }
    }

    /// What is on the wire does not change by accident: these bytes are in the description of the protocol.
    @Test func `a read looks like this`() throws {
        let header = FrameHeader(.read, flags: .urgent, number: 7, offset: 0x1_0000, count: 4096)
        let bytes = Self.encode(header)
        #expect(
            bytes.prefix(44)
                == [
                    0x46, 0x4C, 0x50, 0x31, 16, 1, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0,
                    16, 0, 0,
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                ])
        #expect(try Self.decode(bytes) == .frame(header))
    }

    @Test func `what is encoded is decoded, and nothing is told before it is there`() throws {
        var random = TestRandom(seed)
        for _ in 0..<500 {
            let (header, payload) = frame(&random)
            let bytes = Self.encode(header, payload)
            #expect(try Self.decode(bytes + [1, 2, 3]) == .frame(header), "\(seed)")
            let cut = random.below(bytes.count)
            let needed = cut < FrameHeader.byteCount ? FrameHeader.byteCount : bytes.count
            #expect(try Self.decode(Array(bytes[..<cut])) == .needs(needed), "\(cut); \(seed)")
        }
    }

    @Test func `no damage to a bit goes unnoticed`() {
        var random = TestRandom(seed)
        for _ in 0..<20 {
            let (header, payload) = frame(&random)
            let bytes = Self.encode(header, payload)
            for bit in 0..<bytes.count * 8 {
                var damaged = bytes
                damaged[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(error(damaged) != nil, "bit \(bit) of \(header); \(seed)")
            }
        }
    }

    @Test func `each field that makes no sense has its error`() {
        #expect(error(Array("GET / HTTP/1.1\r\n".utf8)) == .badMagic(0x2054_4547))
        #expect(error(Array("GET ".utf8)) == .badMagic(0x2054_4547))
        var header = FrameHeader(.write, number: 1, offset: 0, count: 3)
        #expect(error(Self.encode(header, [1, 2])) == .badField(.write, "payload"))
        header.count = 2
        #expect(error(Self.encode(header, [1, 2]), limit: 1) == .tooLong(.write, 2, limit: 1))
        header.flags = .zero
        #expect(error(Self.encode(header, [1, 2])) == .badField(.write, "flag"))
        header.flags = FrameFlags(rawValue: 128)
        #expect(error(Self.encode(header, [1, 2])) == .badField(.write, "flag"))
        header.flags = []
        header.status = .noSpace
        #expect(error(Self.encode(header, [1, 2])) == .badField(.write, "status"))
        #expect(error(Self.encode(FrameHeader(.refused))) == .badField(.refused, "status"))
        #expect(
            error(Self.encode(FrameHeader(.read, number: 1, offset: 0, count: 1), [1]))
                == .badField(.read, "payload"))
        #expect(error(Self.encode(FrameHeader(.flush, number: 1, offset: 4))) == .badField(.flush, "range"))
        #expect(error(Self.encode(FrameHeader(.hello, number: 1), [1])) == .badField(.hello, "number"))
        #expect(
            error(Self.encode(FrameHeader(.answer, flags: .zero, number: 1), [1]))
                == .badField(.answer, "payload"))
        var bytes = Self.encode(FrameHeader(.ping))
        bytes[4] = 99
        #expect(error(bytes) == .badHeaderChecksum)
        let checksum = Array(bytes[..<44]).checksum
        for index in 0..<4 { bytes[44 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
        #expect(error(bytes) == .unknownKind(99))
        var contents = Self.encode(FrameHeader(.hello), [1, 2, 3])
        contents[49] = 0
        #expect(error(contents) == .badPayloadChecksum(.hello))
        for error in [FrameError.badHeaderChecksum, .unexpected(.read), .badHandshake("x")] {
            #expect(!error.description.isEmpty)
        }
    }

    @Test func `any bytes at all are decoded or refused`() {
        var random = TestRandom(seed)
        for _ in 0..<3_000 {
            var bytes = (0..<random.below(200)).map { _ in UInt8.random(in: 0...255, using: &random) }
            if random.chance(80) {
                bytes.replaceSubrange(0..<min(4, bytes.count), with: [0x46, 0x4C, 0x50, 0x31])
            }
            if random.chance(60), bytes.count >= 48 {
                let checksum = Array(bytes[..<44]).checksum
                for index in 0..<4 {
                    bytes[44 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index))
                }
            }
            _ = error(bytes, limit: 100)
            _ = try? Hello(decoding: bytes)
            _ = try? Challenge(decoding: bytes)
        }
    }
}
