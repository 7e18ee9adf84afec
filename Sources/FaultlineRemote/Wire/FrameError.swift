/// Bytes that are no frame, or none that may come here.
package enum FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    case badMagic(UInt32)
    case badHeaderChecksum
    case badPayloadChecksum(FrameKind)
    case unknownKind(UInt8)
    case badField(FrameKind, String)
    case tooLong(FrameKind, Int, limit: Int)
    case unexpected(FrameKind)
    case badHandshake(String)

    package var description: String {
        switch self {
        case .badMagic(let value):
            "the peer does not speak this protocol (it began with 0x\(String(value, radix: 16)))"
        case .badHeaderChecksum: "the header of a frame was damaged on its way"
        case .badPayloadChecksum(let kind): "the contents of a frame (\(kind)) were damaged on their way"
        case .unknownKind(let value): "there is no frame of kind \(value)"
        case .badField(let kind, let field): "a frame (\(kind)) has a \(field) that it cannot have"
        case .tooLong(let kind, let count, let limit):
            "a frame (\(kind)) of \(count) bytes is longer than the \(limit) that are allowed here"
        case .unexpected(let kind): "a frame (\(kind)) came that has no place here"
        case .badHandshake(let what): "the handshake makes no sense: \(what)"
        }
    }
}
