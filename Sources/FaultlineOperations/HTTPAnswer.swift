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
