import EventReactor

/// The first line of a request; the other lines are read and not looked at.
struct HTTPRequestHead: Hashable, Sendable {
    /// Why a request is not served.
    struct Refusal: Error {
        let status: HTTPAnswer.Status
        let text: String
    }

    let method: String
    /// Without a query.
    let path: String

    /// - Throws: the connection's error.
    static func read(
        from connection: Connection, limit: Int
    ) async throws(ReactorError) -> Result<HTTPRequestHead, Refusal> {
        let tooLarge = Refusal(status: .tooLarge, text: "the head of a request is limited to \(limit) bytes")
        var room = limit
        var first: [UInt8]?
        while true {
            let line: [UInt8]?
            do {
                line = try await connection.readLine(upTo: max(room, 1))
            } catch {
                guard error.code == .lineTooLong else { throw error }
                return .failure(tooLarge)
            }
            guard let line else {
                return .failure(Refusal(status: .badRequest, text: "the request ends in its head"))
            }
            room -= line.count + 2
            guard room > 0 else { return .failure(tooLarge) }
            if line.isEmpty {
                // An empty line before the first is to be passed over.
                guard let first else { continue }
                return parse(first)
            }
            first = first ?? line
        }
    }

    private static func parse(_ line: [UInt8]) -> Result<HTTPRequestHead, Refusal> {
        do throws(Refusal) { return .success(try HTTPRequestHead(line: line)) } catch {
            return .failure(error)
        }
    }

    init(line: [UInt8]) throws(Refusal) {
        let refusal = Refusal(status: .badRequest, text: "a request begins with METHOD TARGET HTTP/1.1")
        guard let text = String(validating: line, as: UTF8.self) else { throw refusal }
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[2] == "HTTP/1.1" || words[2] == "HTTP/1.0", !words[0].isEmpty,
            words[1].first == "/"
        else { throw refusal }
        method = String(words[0])
        path = String(words[1].prefix { $0 != "?" })
    }
}

/// An answer that ends its connection.
struct HTTPAnswer: Sendable {
    enum Status: String, Sendable {
        case ok = "200 OK"
        case badRequest = "400 Bad Request"
        case notFound = "404 Not Found"
        case methodNotAllowed = "405 Method Not Allowed"
        case tooLarge = "431 Request Header Fields Too Large"
    }

    let status: Status
    let type: String
    let body: String
    var hasBody = true

    init(_ status: Status, _ body: String? = nil, type: String = "text/plain; charset=utf-8") {
        self.status = status
        self.type = type
        self.body = body ?? status.rawValue + "\n"
    }

    var bytes: [UInt8] {
        var head =
            "HTTP/1.1 \(status.rawValue)\r\nContent-Type: \(type)\r\nContent-Length: \(body.utf8.count)\r\n"
        if status == .methodNotAllowed { head += "Allow: GET, HEAD\r\n" }
        head += "Connection: close\r\n\r\n"
        return Array(head.utf8) + (hasBody ? Array(body.utf8) : [])
    }
}
