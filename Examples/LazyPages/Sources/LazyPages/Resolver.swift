import EventReactor
import Glibc

/// Finds addresses of names, before there is a loop that could be held up.
enum Resolver {
    /// The first address of a name, or the address that it is. Blocks (getaddrinfo(3)).
    ///
    /// - Throws: ``LazyPagesError`` when there is none.
    static func address(of name: String, port: UInt16) throws(LazyPagesError) -> SocketAddress {
        var hints = addrinfo()
        hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard status == 0, let first = list?.pointee else {
            throw LazyPagesError(
                .badOptions, "'\(name)' has no address: \(String(cString: gai_strerror(status)))")
        }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let answer = getnameinfo(
            first.ai_addr, first.ai_addrlen, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST)
        guard answer == 0 else {
            throw LazyPagesError(
                .badOptions, "'\(name)' has no address: \(String(cString: gai_strerror(answer)))")
        }
        let text = String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return first.ai_family == AF_INET6 ? .ipv6(text, port: port) : .ipv4(text, port: port)
    }
}
