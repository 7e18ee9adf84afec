import CLibevent
import Glibc

extension SocketAddress {
    private static let pathOffset = 2
    private static let pathCapacity = MemoryLayout<sockaddr_un>.size - pathOffset

    /// Calls `body` with the address as C has it.
    func withNative<Value>(
        _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) throws(ReactorError) -> Value {
        var storage = sockaddr_storage()
        let length = try fill(&storage)
        return unsafe withUnsafePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe body($0, length) }
        }
    }

    private func fill(_ storage: inout sockaddr_storage) throws(ReactorError) -> socklen_t {
        let status: CInt
        let length: Int
        switch self {
        case .ipv4(let host, let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            status = unsafe inet_pton(AF_INET, host, &address.sin_addr)
            length = Self.copy(&address, to: &storage)
        case .ipv6(let host, let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            status = unsafe inet_pton(AF_INET6, host, &address.sin6_addr)
            length = Self.copy(&address, to: &storage)
        case .unix(let path):
            let bytes = Array(path.utf8)
            // A path is ended by a zero byte, which counts; an abstract name begins with one and has no end.
            let isAbstract = bytes.first == 0
            status = !bytes.isEmpty && bytes.count < Self.pathCapacity ? 1 : 0
            guard status == 1, isAbstract || !bytes.contains(0) else { throw ReactorError(.badAddress) }
            storage.ss_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &storage) { storage in
                for (index, byte) in bytes.enumerated() { unsafe storage[Self.pathOffset + index] = byte }
            }
            length = Self.pathOffset + bytes.count + (isAbstract ? 0 : 1)
        }
        guard status == 1 else { throw ReactorError(.badAddress) }
        return socklen_t(length)
    }

    private static func copy<Native>(_ address: inout Native, to storage: inout sockaddr_storage) -> Int {
        unsafe withUnsafeBytes(of: &address) { source in
            unsafe withUnsafeMutableBytes(of: &storage) { unsafe $0.copyMemory(from: source) }
        }
        return MemoryLayout<Native>.size
    }

    /// Asks the system for an address. `call` returns 0 or sets errno.
    init(
        _ operation: String,
        _ call: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> CInt
    ) throws(ReactorError) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe call(address, &length) == 0 ? 0 : errno
            }
        }
        guard status == 0 else { throw ReactorError(socket: operation, status) }
        self = unsafe withUnsafeBytes(of: &storage) { bytes in
            unsafe Self(native: bytes, length: min(Int(length), bytes.count))
        }
    }

    private init(native bytes: UnsafeRawBufferPointer, length: Int) {
        switch unsafe CInt(bytes.load(as: sa_family_t.self)) {
        case AF_INET:
            let address = unsafe bytes.load(as: sockaddr_in.self)
            self = unsafe .ipv4(
                Self.text(AF_INET, bytes, offset: 4), port: UInt16(bigEndian: address.sin_port))
        case AF_INET6:
            let address = unsafe bytes.load(as: sockaddr_in6.self)
            self = unsafe .ipv6(
                Self.text(AF_INET6, bytes, offset: 8), port: UInt16(bigEndian: address.sin6_port))
        default:
            var path = unsafe Array(bytes[min(Self.pathOffset, length)..<length])
            if path.first != 0, let end = path.firstIndex(of: 0) { path.removeSubrange(end...) }
            self = .unix(path: String(decoding: path, as: UTF8.self))
        }
    }

    /// The text of the address that lies at `offset` in the C structure.
    private static func text(_ family: CInt, _ bytes: UnsafeRawBufferPointer, offset: Int) -> String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(INET6_ADDRSTRLEN)) { buffer in
            guard let source = bytes.baseAddress, let start = buffer.baseAddress,
                unsafe inet_ntop(family, source + offset, start, socklen_t(buffer.count)) != nil
            else { return "" }
            return unsafe String(cString: start)
        }
    }
}
