// What clients send over sockets: commands to a store of keys and values, and what asks for a page of metrics.

/// Called by libFuzzer, again and again.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    var input = Input(data, count)
    switch input.byte() {
    case 0..<120:
        let way = input.byte()
        check(commands: input.rest(), way)
    case 120..<150: check(wordsOf: &input)
    case 150..<190: check(pattern: &input)
    case 190..<248:
        let limit = input.byte()
        check(head: input.rest(), limit)
    default: checkTime(&input)
    }
    return 0
}

let limits: RequestParser.Limits = {
    var limits = RequestParser.Limits()
    limits.argumentCount = 12
    limits.argumentLength = 60
    limits.requestLength = 150
    limits.lineLength = 80
    return limits
}()

/// All requests, and the error after them.
func requests(_ pieces: [[UInt8]], _ limits: RequestParser.Limits) -> ([[[UInt8]]], ProtocolError?) {
    var parser = RequestParser(limits)
    var requests: [[[UInt8]]] = []
    for piece in pieces {
        parser.add(piece)
        do throws(ProtocolError) {
            while let request = try parser.next() { requests.append(request) }
        } catch {
            return (requests, error)
        }
    }
    return (requests, nil)
}

func encoded(_ request: [[UInt8]]) -> [UInt8] {
    request.reduce(Array("*\(request.count)\r\n".utf8)) {
        $0 + Array("$\($1.count)\r\n".utf8) + $1 + [13, 10]
    }
}

/// However a stream is cut, it says the same.
func check(commands bytes: [UInt8], _ way: Int) {
    let whole = requests([bytes], limits)
    check(requests(pieces(of: bytes, way), limits) == whole, "in pieces, it is something else")
    for request in whole.0 {
        check(!request.isEmpty, "a request of nothing")
        check(request.reduce(0) { $0 + $1.count } <= limits.requestLength, "a request that is too long")
    }
    let again = requests([whole.0.flatMap(encoded)], RequestParser.Limits())
    check(again == (whole.0, nil), "encoded and decoded again, it is something else")
}

/// Words in quotes are the bytes that were put there.
func check(wordsOf input: inout Input) {
    var words: [[UInt8]] = []
    var line: [UInt8] = []
    let way = input.byte()
    for _ in 0..<input.byte() % 6 + 1 {
        let word = input.run()
        words.append(word)
        line += [32, UInt8(ascii: "\"")]
        for byte in word {
            let digits = String(byte, radix: 16)
            line += Array((digits.count == 1 ? "\\x0" : "\\x").utf8) + Array(digits.utf8)
        }
        line += [UInt8(ascii: "\"")]
    }
    let found = requests(pieces(of: line + [10], way), RequestParser.Limits())
    check(found == ([words], nil), "words are lost in quotes")
}

/// A pattern of what is meant literally matches that and nothing else; stars match the rest.
func check(pattern input: inout Input) {
    let (pattern, text, rest) = (input.run(), input.run(), input.run())
    _ = Glob(pattern).matches(text)
    let literal = text.flatMap { [UInt8(ascii: "\\"), $0] }
    let star = [UInt8(ascii: "*")]
    check(Glob(literal).matches(text), "a literal does not match itself")
    check(Glob(literal).matches(rest) == (rest == text), "a literal matches something else")
    check(Glob(star + literal + star).matches(rest + text + pattern), "a part is not found")
    check(Glob(literal + star).matches(rest) == rest.starts(with: text), "a beginning is not found")
    check(Glob(star + pattern).matches(rest + text) || !Glob(pattern).matches(text), "an end is not found")
}

func check(head bytes: [UInt8], _ limit: Int) {
    var reader = HTTPHeadReader(limit: limit)
    var lines = bytes.split(separator: 10, omittingEmptySubsequences: false).map { line in
        Array(line.last == 13 ? line.dropLast() : line)
    }
    // What stands behind the last line feed is a line if it is not empty.
    if lines.last == [] { lines.removeLast() }
    var taken = 0
    do throws(HTTPRequestHead.Refusal) {
        for line in lines + [nil] {
            if let line {
                if line.count > reader.lineLimit { throw reader.tooLarge }
                taken += line.count
            }
            guard let head = try reader.take(line) else {
                check(line != nil, "the end is passed over")
                continue
            }
            check(taken < limit, "a head that is too long")
            let method = Array(head.method.utf8)
            let path = Array(head.path.utf8)
            check(!method.isEmpty && !method.contains(32), "no method")
            check(path.first == 47 && !path.contains(32) && !path.contains(63), "no path")
            let again = try HTTPRequestHead(line: method + [32] + path + Array("?q HTTP/1.0".utf8))
            check(again == head, "encoded and decoded again, it is something else")
            return
        }
        check(false, "neither a head nor an error")
    } catch {
        check(error.status == .badRequest || error.status == .tooLarge, "\(error)")
    }
}

/// The time is that of the length.
func checkTime(_ input: inout Input) {
    let way = input.byte()
    let head = input.run()
    guard let many = repeated(input.rest(), to: 128 << 10) else { return }
    _ = requests(pieces(of: head + many, way), RequestParser.Limits())
    check(head: many, 1 << 20)
}
