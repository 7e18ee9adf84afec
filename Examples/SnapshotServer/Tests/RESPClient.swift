import Foundation
import Glibc

/// A reply.
indirect enum Value: Equatable {
    case word(String), error(String), number(Int), bulk(String?), array([Value])

    var text: String? { if case .bulk(let text) = self { text } else { nil } }
    var error: String? { if case .error(let text) = self { text } else { nil } }
    var number: Int? { if case .number(let number) = self { number } else { nil } }
    static var ok: Value { .word("OK") }
}

struct ClientError: Error, CustomStringConvertible { var description: String }

/// A client of the tests' own, for one thread at a time; it blocks, but not for ever.
final class RESPClient {
    private let descriptor: CInt
    private var buffer: [UInt8] = []
    private var position = 0

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var limit = timeval(tv_sec: 60, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
        let status = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw ClientError(description: "nobody listens at \(path): \(errno)") }
    }

    deinit { close(descriptor) }

    func send(_ text: String) throws { try send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw ClientError(description: "the server does not read: \(errno)") }
            sent += count
        }
    }

    static func encoded(_ arguments: [String]) -> [UInt8] {
        Array(("*\(arguments.count)\r\n" + arguments.map { "$\($0.utf8.count)\r\n\($0)\r\n" }.joined()).utf8)
    }

    @discardableResult
    func call(_ arguments: String...) throws -> Value {
        try send(Self.encoded(arguments))
        guard let value = try receive() else { throw ClientError(description: "the server has gone") }
        return value
    }

    /// Sends all, and only then looks for replies.
    func pipeline(_ requests: [[String]]) throws -> [Value] {
        try send(requests.flatMap { Self.encoded($0) })
        return try requests.map { _ in
            guard let value = try receive() else { throw ClientError(description: "the server has gone") }
            return value
        }
    }

    /// The next reply; nil at the end.
    func receive() throws -> Value? {
        guard let line = try line() else { return nil }
        let text = String(decoding: line.dropFirst(), as: UTF8.self)
        switch line.first {
        case UInt8(ascii: "+"): return .word(text)
        case UInt8(ascii: "-"): return .error(text)
        case UInt8(ascii: ":"): return .number(Int(text) ?? .min)
        case UInt8(ascii: "$"):
            guard let count = Int(text), count >= 0 else { return .bulk(nil) }
            while buffer.count - position < count + 2 {
                guard try fill() else { throw ClientError(description: "a reply was cut off") }
            }
            defer { position += count + 2 }
            return .bulk(String(decoding: buffer[position..<position + count], as: UTF8.self))
        case UInt8(ascii: "*"):
            var values: [Value] = []
            for _ in 0..<(Int(text) ?? 0) {
                guard let value = try receive() else { throw ClientError(description: "cut off") }
                values.append(value)
            }
            return .array(values)
        default: throw ClientError(description: "no reply: \(text)")
        }
    }

    private func line() throws -> ArraySlice<UInt8>? {
        while true {
            if let end = buffer[position...].firstIndex(of: 10) {
                defer { position = end + 1 }
                return buffer[position..<end - 1]
            }
            guard try fill() else {
                guard position == buffer.count else { throw ClientError(description: "a reply was cut off") }
                return nil
            }
        }
    }

    private func fill() throws -> Bool {
        if position > 1 << 20 || position == buffer.count {
            buffer.removeFirst(position)
            position = 0
        }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        guard count >= 0 || errno == ECONNRESET else {
            throw ClientError(description: "no reply in a minute: \(errno)")
        }
        buffer.append(contentsOf: bytes.prefix(max(count, 0)))
        return count > 0
    }

    /// What INFO says, by name.
    func information() throws -> [String: String] {
        var result: [String: String] = [:]
        for line in (try call("INFO").text ?? "").split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { result[String(parts[0])] = String(parts[1]) }
        }
        return result
    }

    /// Asks until `name` is `value`.
    func wait(for name: String, _ value: String) throws {
        let end = ContinuousClock.now + .seconds(60)
        while try information()[name] != value {
            guard ContinuousClock.now < end else {
                throw ClientError(description: "\(name) is not \(value) after a minute: \(try information())")
            }
            usleep(2000)
        }
    }
}

/// Does what blocks on a thread of its own: there may be few in the pool.
func onThread<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        Thread.detachNewThread { continuation.resume(with: Result(catching: body)) }
    }
}
