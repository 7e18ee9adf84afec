/// How processes say what memory they hand over, and what they are told.
///
/// The ``standard`` one is what ``MemoryHandover`` speaks. Another one takes a decoder of yours:
///
/// ```swift
/// options.format = HandoverFormat { bytes in try parseDescription(of: bytes) }
/// ```
public struct HandoverFormat: Sendable {
    /// Makes a description of what has come so far; nil if more has to come. Called after each piece, on the reactor's
    /// thread, and must not block. Over sequenced packets a piece is one packet. Whatever it throws refuses the peer, as
    /// ``HandoverError/Code/malformed``.
    public var decode: @Sendable ([UInt8]) throws -> MemoryDescription?
    /// What the peer is sent when its memory is in service; nil for nothing.
    public var acceptance: [UInt8]?
    /// What the peer is sent when it is refused, before its socket is closed; nil for nothing.
    public var refusal: (@Sendable (HandoverError) -> [UInt8])?

    /// A format whose peers are told nothing.
    ///
    /// - Parameter decode: see ``decode``.
    public init(_ decode: @escaping @Sendable ([UInt8]) throws -> MemoryDescription?) {
        self.decode = decode
    }

    /// What ``MemoryDescription/encoded()`` writes, with the descriptor sent along with its first byte. The peer is
    /// answered with 8 bytes: "FLMR", the version (1) and a verdict, two bytes each, low ones first. The verdict is 0 when
    /// the memory is in service; 1 refused; 2 malformed; 3 not an enabled userfaultfd, or not just one descriptor; 4 more
    /// than allowed.
    public static let standard: HandoverFormat = {
        var format = HandoverFormat { try MemoryDescription.decodeIfComplete($0) }
        format.acceptance = Verdict.accepted.encoded
        format.refusal = { Verdict($0.code).encoded }
        return format
    }()

    /// What the peer is told.
    enum Verdict: UInt64 {
        case accepted, refused, malformed, badDescriptor, tooMuch

        static let byteCount = 8
        private static let magic: UInt64 = 0x524D_4C46

        init(_ code: HandoverError.Code) {
            self =
                switch code {
                case .malformed, .tooLong: .malformed
                case .badDescriptor, .noDescriptor, .tooManyDescriptors: .badDescriptor
                case .tooMuch: .tooMuch
                default: .refused
                }
        }

        /// Nil: these bytes are no verdict of this version.
        init?(_ bytes: [UInt8]) {
            guard bytes.count == Self.byteCount, bytes.number(at: 0, byteCount: 4) == Self.magic,
                bytes.number(at: 4, byteCount: 2) == 1
            else { return nil }
            self = Verdict(rawValue: bytes.number(at: 6, byteCount: 2)) ?? .refused
        }

        var encoded: [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(Self.magic, byteCount: 4)
            bytes.append(1, byteCount: 2)
            bytes.append(rawValue, byteCount: 2)
            return bytes
        }

        /// The error that the sender gets; nil if there is none.
        var error: HandoverError? {
            switch self {
            case .accepted: nil
            case .refused: HandoverError(.refused)
            case .malformed: HandoverError(.refused, HandoverError(.malformed))
            case .badDescriptor: HandoverError(.refused, HandoverError(.badDescriptor))
            case .tooMuch: HandoverError(.refused, HandoverError(.tooMuch))
            }
        }
    }
}
