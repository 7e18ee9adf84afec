/// Why a client is not understood any more. Its description is the reply's text.
public struct ProtocolError: Error, Hashable, CustomStringConvertible {
    /// As Redis words it.
    public let description: String

    init(_ text: String) { description = "Protocol error: " + text }
}

/// Takes requests out of what a client sends: arrays of bulk strings, and lines.
public struct RequestParser: Sendable {
    /// How long requests may be.
    public struct Limits: Sendable {
        /// The most bytes of one argument.
        public var argumentLength = 64 << 20
        /// The most arguments.
        public var argumentCount = 1 << 20
        /// The most bytes of all arguments together.
        public var requestLength = 128 << 20
        /// The most bytes of a line.
        public var lineLength = 64 << 10

        /// The defaults.
        public init() {}
    }

    private let limits: Limits
    private var buffer: [UInt8] = []
    private var position = 0
    /// How far a line was looked for already.
    private var searched = 0
    /// The arguments of an array that still lacks some.
    private var arguments: [[UInt8]] = []
    private var missing = 0
    private var length = 0
    private var argumentLength: Int?

    /// A parser for one client.
    public init(_ limits: Limits = Limits()) { self.limits = limits }

    /// Adds what the client has sent.
    public mutating func add(_ bytes: [UInt8]) {
        if position > 0 {
            buffer.removeFirst(position)
            searched = max(0, searched - position)
            position = 0
        }
        buffer.append(contentsOf: bytes)
    }

    /// The next request, which has at least one argument; nil until there is one.
    ///
    /// - Throws: ``ProtocolError``; nothing can be read from this client any more.
    public mutating func next() throws(ProtocolError) -> [[UInt8]]? {
        while true {
            if missing == 0 {
                guard position < buffer.count else { return nil }
                guard buffer[position] == UInt8(ascii: "*") else {
                    guard let line = try line("too big inline request") else { return nil }
                    let words = try Self.words(line)
                    if words.isEmpty { continue }
                    return words
                }
                guard let line = try line("too big mbulk count string") else { return nil }
                guard let count = Self.number(line.dropFirst()), count <= limits.argumentCount else {
                    throw ProtocolError("invalid multibulk length")
                }
                if count <= 0 { continue }
                missing = count
                length = 0
            }
            guard try takeArguments() else { return nil }
            defer { arguments = [] }
            return arguments
        }
    }

    private mutating func takeArguments() throws(ProtocolError) -> Bool {
        while missing > 0 {
            if argumentLength == nil {
                guard let line = try line("too big bulk count string") else { return false }
                guard line.first == UInt8(ascii: "$") else {
                    let found = line.first.map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") }
                    throw ProtocolError(
                        "expected '$', got '\(found.map { String(UnicodeScalar($0)) } ?? " ")'")
                }
                guard let count = Self.number(line.dropFirst()), (0...limits.argumentLength).contains(count)
                else { throw ProtocolError("invalid bulk length") }
                length += count
                guard length <= limits.requestLength else { throw ProtocolError("too big request") }
                argumentLength = count
            }
            guard let count = argumentLength, buffer.count - position >= count + 2 else { return false }
            arguments.append(Array(buffer[position..<position + count]))
            position += count + 2
            searched = position
            argumentLength = nil
            missing -= 1
        }
        return true
    }

    /// The next line, without its end.
    private mutating func line(_ complaint: String) throws(ProtocolError) -> ArraySlice<UInt8>? {
        let start = max(position, searched)
        guard let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) else {
            searched = buffer.count
            guard buffer.count - position <= limits.lineLength else { throw ProtocolError(complaint) }
            return nil
        }
        guard end - position <= limits.lineLength else { throw ProtocolError(complaint) }
        var line = buffer[position..<end]
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        position = end + 1
        searched = position
        return line
    }

    /// A decimal number; nil if it is anything else, or too large.
    public static func number(_ digits: some Collection<UInt8>) -> Int? {
        let isNegative = digits.first == UInt8(ascii: "-")
        let digits = digits.dropFirst(isNegative ? 1 : 0)
        guard !digits.isEmpty, digits.count == 1 || digits.first != UInt8(ascii: "0") else { return nil }
        var value = 0
        for digit in digits {
            guard (48...57).contains(digit) else { return nil }
            let (product, isLarge) = value.multipliedReportingOverflow(by: 10)
            let step = isNegative ? -Int(digit - 48) : Int(digit - 48)
            let (sum, isLarger) = product.addingReportingOverflow(step)
            if isLarge || isLarger { return nil }
            value = sum
        }
        return isNegative && value == 0 ? nil : value
    }

    /// The words of a line: separated by spaces, in quotes if they have some themselves.
    private static func words(_ line: ArraySlice<UInt8>) throws(ProtocolError) -> [[UInt8]] {
        let unbalanced = ProtocolError("unbalanced quotes in request")
        var words: [[UInt8]] = []
        var rest = line
        func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) || byte == 0 }
        while true {
            rest = rest.drop(while: isSpace)
            guard let first = rest.first else { return words }
            var word: [UInt8] = []
            if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") {
                rest.removeFirst()
                while true {
                    guard let byte = rest.popFirst() else { throw unbalanced }
                    if byte == first { break }
                    word.append(byte == UInt8(ascii: "\\") ? escaped(&rest, in: first) : byte)
                }
                guard rest.first.map(isSpace) ?? true else { throw unbalanced }
            } else {
                while let byte = rest.first, !isSpace(byte) {
                    word.append(byte)
                    rest.removeFirst()
                }
            }
            words.append(word)
        }
    }

    /// What a backslash and the following mean.
    private static func escaped(_ rest: inout ArraySlice<UInt8>, in quote: UInt8) -> UInt8 {
        let backslash = UInt8(ascii: "\\")
        guard let byte = rest.first else { return backslash }
        if quote == UInt8(ascii: "'") {
            guard byte == quote else { return backslash }
            rest.removeFirst()
            return quote
        }
        rest.removeFirst()
        switch byte {
        case UInt8(ascii: "n"): return 10
        case UInt8(ascii: "r"): return 13
        case UInt8(ascii: "t"): return 9
        case UInt8(ascii: "b"): return 8
        case UInt8(ascii: "a"): return 7
        case UInt8(ascii: "x"):
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.count == 2, digits.allSatisfy(\.isHexDigit), let value = UInt8(digits, radix: 16)
            else { return byte }
            rest.removeFirst(2)
            return value
        default: return byte
        }
    }
}
