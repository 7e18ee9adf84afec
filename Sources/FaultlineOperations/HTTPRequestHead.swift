/// The first line of a request; the other lines are read and not looked at.
struct HTTPRequestHead: Hashable, Sendable {
    /// Why a request is not served.
    struct Refusal: Error, Hashable {
        let status: HTTPAnswer.Status
        let text: String
    }

    let method: String
    /// Without a query.
    let path: String

    init(line: [UInt8]) throws(Refusal) {
        let refusal = Refusal(status: .badRequest, text: "a request begins with METHOD TARGET HTTP/1.1")
        // As bytes: a character may be a space, or a question mark, and what follows it.
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard words.count == 3, !words[0].isEmpty, words[1].first == UInt8(ascii: "/"),
            words[2].elementsEqual("HTTP/1.1".utf8) || words[2].elementsEqual("HTTP/1.0".utf8),
            let method = String(validating: words[0], as: UTF8.self),
            let path = String(validating: words[1].prefix { $0 != UInt8(ascii: "?") }, as: UTF8.self)
        else { throw refusal }
        self.method = method
        self.path = path
    }
}

/// Takes the lines of a request's head, one by one. Pure: whoever has it reads.
struct HTTPHeadReader {
    private let limit: Int
    private var room: Int
    private var first: [UInt8]?

    /// - Parameter limit: the most bytes of all lines together, their ends included.
    init(limit: Int) {
        self.limit = limit
        room = limit
    }

    /// The most bytes that the next line may have.
    var lineLimit: Int { max(room, 1) }

    /// What is said of more than that.
    var tooLarge: HTTPRequestHead.Refusal {
        HTTPRequestHead.Refusal(status: .tooLarge, text: "the head of a request is limited to \(limit) bytes")
    }

    /// Takes the next line, without its end; nil for the end of all lines.
    ///
    /// - Returns: the head when it is complete; nil if lines are missing.
    mutating func take(_ line: [UInt8]?) throws(HTTPRequestHead.Refusal) -> HTTPRequestHead? {
        guard let line else {
            throw HTTPRequestHead.Refusal(status: .badRequest, text: "the request ends in its head")
        }
        room -= line.count + 2
        guard room > 0 else { throw tooLarge }
        if line.isEmpty {
            // An empty line before the first is to be passed over.
            guard let first else { return nil }
            return try HTTPRequestHead(line: first)
        }
        first = first ?? line
        return nil
    }
}
