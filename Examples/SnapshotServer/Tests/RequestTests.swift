import KeyValueStore
import Testing

/// What clients say, whole and in pieces.
struct RequestTests {
    private func requests(_ pieces: [[UInt8]], _ limits: RequestParser.Limits = .init()) throws -> [[String]]
    {
        var parser = RequestParser(limits)
        var requests: [[String]] = []
        for piece in pieces {
            parser.add(piece)
            while let request = try parser.next() {
                requests.append(request.map { String(decoding: $0, as: UTF8.self) })
            }
        }
        return requests
    }

    @Test func `requests are the same however they come`() throws {
        let text =
            "*2\r\n$3\r\nGET\r\n$1\r\na\r\nPING\r\n\r\n*0\r\n*-1\r\n*1\r\n$0\r\n\r\n  set  \"a b\\x41\\n\" 'it\\'s' \n"
        let bytes = Array(text.utf8)
        let expected = [["GET", "a"], ["PING"], [""], ["set", "a bA\n", "it's"]]
        #expect(try requests([bytes]) == expected)
        #expect(try requests(bytes.map { [$0] }) == expected)
        for cut in 0...bytes.count {
            #expect(try requests([Array(bytes[..<cut]), Array(bytes[cut...])]) == expected)
        }
    }

    @Test(arguments: [
        ("*x\r\n", "invalid multibulk length"), ("*1048577\r\n", "invalid multibulk length"),
        ("*99999999999999999999\r\n", "invalid multibulk length"),
        ("*1\r\nPING\r\n", "expected '$', got 'P'"), ("*1\r\n\r\n", "expected '$', got ' '"),
        ("*1\r\n$-1\r\n", "invalid bulk length"), ("*1\r\n$101\r\n", "invalid bulk length"),
        ("*1\r\n$01\r\n", "invalid bulk length"), ("*3\r\n$100\r\n", nil),
        ("SET \"a\r\n", "unbalanced quotes in request"), ("SET 'a'b\r\n", "unbalanced quotes in request"),
        (String(repeating: "a", count: 300), "too big inline request"),
        ("*1\r\n$" + String(repeating: "1", count: 300), "too big bulk count string"),
        ("*" + String(repeating: "1", count: 300), "too big mbulk count string"),
    ])
    func `what is no request is an error`(text: String, message: String?) throws {
        var limits = RequestParser.Limits()
        limits.argumentLength = 100
        limits.lineLength = 200
        do {
            let none = try requests([Array(text.utf8)], limits)
            #expect(none.isEmpty && message == nil)
        } catch let error as ProtocolError {
            #expect(error.description == "Protocol error: " + (message ?? "none"))
        }
    }

    @Test func `the arguments of a request have a limit together`() {
        var limits = RequestParser.Limits()
        limits.argumentLength = 100
        limits.requestLength = 150
        let argument = "$100\r\n" + String(repeating: "a", count: 100) + "\r\n"
        #expect(throws: ProtocolError.self) {
            try requests([Array(("*2\r\n" + argument + argument).utf8)], limits)
        }
    }

    @Test(arguments: [
        ("*", "", true), ("*", "abc", true), ("a*c", "abbc", true), ("a*c", "abcd", false), ("?", "", false),
        ("a?c", "abc", true), ("[a-c]x", "bx", true), ("[^a-c]x", "bx", false), ("[c-a]", "b", true),
        ("\\*", "*", true), ("\\*", "a", false), ("[\\]]", "]", true), ("[a", "a", true), ("", "", true),
        ("", "a", false), ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxaxxcxxb", false), ("a\\", "a\\", true),
    ])
    func `patterns`(pattern: String, text: String, matches: Bool) {
        #expect(Glob(Array(pattern.utf8)).matches(Array(text.utf8)) == matches)
    }

    @Test(arguments: [
        ("0", 0), ("-1", -1), ("9223372036854775807", Int.max), ("-9223372036854775808", Int.min),
        ("9223372036854775808", nil), ("", nil), ("-", nil), ("+1", nil), ("01", nil), ("-0", nil),
        ("1 ", nil), ("1.0", nil),
    ])
    func `numbers`(text: String, value: Int?) {
        #expect(RequestParser.number(Array(text.utf8)) == value)
    }
}
