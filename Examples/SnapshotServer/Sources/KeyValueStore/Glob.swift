/// Patterns of keys: `*`, `?`, `[a-z]`, `[^a]`, and `\` before what is meant literally.
public struct Glob: Sendable {
    private enum Piece: Sendable {
        case any, one
        case set([ClosedRange<UInt8>], isNegated: Bool)
        case byte(UInt8)

        func matches(_ byte: UInt8) -> Bool {
            switch self {
            case .any: false
            case .one: true
            case .set(let ranges, let isNegated): ranges.contains { $0.contains(byte) } != isNegated
            case .byte(let own): own == byte
            }
        }
    }

    private var pieces: [Piece] = []

    /// Takes a pattern apart. Every sequence of bytes is one.
    public init(_ pattern: [UInt8]) {
        var rest = pattern[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "*"):
                if case .any? = pieces.last {} else { pieces.append(.any) }
            case UInt8(ascii: "?"): pieces.append(.one)
            case UInt8(ascii: "["): pieces.append(Self.set(&rest))
            case UInt8(ascii: "\\"): pieces.append(.byte(rest.popFirst() ?? byte))
            default: pieces.append(.byte(byte))
            }
        }
    }

    private static func set(_ rest: inout ArraySlice<UInt8>) -> Piece {
        var ranges: [ClosedRange<UInt8>] = []
        let isNegated = rest.first == UInt8(ascii: "^")
        if isNegated { rest.removeFirst() }
        while var low = rest.popFirst(), low != UInt8(ascii: "]") {
            if low == UInt8(ascii: "\\") { low = rest.popFirst() ?? low }
            if rest.first == UInt8(ascii: "-"), rest.count > 1 {
                let high = rest[rest.startIndex + 1]
                rest.removeFirst(2)
                ranges.append(min(low, high)...max(low, high))
            } else {
                ranges.append(low...low)
            }
        }
        return .set(ranges, isNegated: isNegated)
    }

    /// Whether the pattern is that of all of `bytes`. Takes time in proportion to both lengths' product at most.
    public func matches(_ bytes: [UInt8]) -> Bool {
        var (piece, position) = (0, 0)
        var retry: (piece: Int, position: Int)?
        while position < bytes.count {
            if piece < pieces.count, case .any = pieces[piece] {
                piece += 1
                retry = (piece, position)
            } else if piece < pieces.count, pieces[piece].matches(bytes[position]) {
                piece += 1
                position += 1
            } else if let last = retry {
                retry = (last.piece, last.position + 1)
                (piece, position) = (last.piece, last.position + 1)
            } else {
                return false
            }
        }
        if piece < pieces.count, case .any = pieces[piece] { piece += 1 }
        return piece == pieces.count
    }
}
