import CLibevent
import Glibc

/// `recvmsg(2)` and `sendmsg(2)` on UNIX-domain sockets. Failures are errno values.
enum MessageCall {
    /// As many as one message carries.
    static let mostDescriptors = Int(FAULTLINE_MOST_DESCRIPTORS)

    struct Received {
        var bytes: [UInt8] = []
        var descriptors: [OwnedDescriptor] = []
        var isTruncated = false
        var areDescriptorsTruncated = false
    }

    /// Takes what is there. What comes with more descriptors than `capacity` is closed by the kernel, which tells.
    static func receive(
        _ descriptor: CInt, upTo limit: Int, descriptors capacity: Int
    ) -> Result<Received, SocketFailure> {
        unsafe withUnsafeTemporaryAllocation(byteCount: limit, alignment: 16) { bytes in
            unsafe withUnsafeTemporaryAllocation(of: CInt.self, capacity: max(1, capacity)) { numbers in
                guard let start = bytes.baseAddress, let first = numbers.baseAddress else {
                    return .failure(SocketFailure(ENOMEM))
                }
                let answer = unsafe faultline_receive(descriptor, start, limit, first, CInt(capacity))
                guard answer.bytes >= 0 else { return .failure(SocketFailure(CInt(-answer.bytes))) }
                var received = Received()
                received.bytes = unsafe [UInt8](bytes.prefix(answer.bytes))
                for index in 0..<Int(answer.descriptors) {
                    received.descriptors.append(OwnedDescriptor(owning: unsafe numbers[index]))
                }
                received.isTruncated = answer.flags & CInt(MSG_TRUNC) != 0
                received.areDescriptorsTruncated = answer.flags & CInt(MSG_CTRUNC) != 0
                return .success(received)
            }
        }
    }

    /// Sends what the socket takes at once of `bytes` from `offset` on.
    ///
    /// - Returns: bytes sent.
    static func send(
        _ descriptor: CInt, _ bytes: [UInt8], from offset: Int, _ descriptors: [CInt]
    ) -> Result<Int, SocketFailure> {
        let sent = unsafe bytes.withUnsafeBytes { buffer in
            unsafe descriptors.withUnsafeBufferPointer { numbers in
                unsafe faultline_send(
                    descriptor, buffer.baseAddress.map { unsafe $0 + offset }, buffer.count - offset,
                    numbers.baseAddress, CInt(numbers.count))
            }
        }
        return sent >= 0 ? .success(sent) : .failure(SocketFailure(CInt(-sent)))
    }

    /// Whether the peer sends nothing more and no byte is left. An empty message looks the same as the end to recvmsg(2).
    static func isAtEnd(_ descriptor: CInt) -> Bool { faultline_is_at_end(descriptor) != 0 }
}

/// An errno value.
struct SocketFailure: Error {
    let systemError: CInt

    init(_ systemError: CInt) {
        self.systemError = systemError
    }

    var isTemporary: Bool { SocketCall.isTemporary(systemError) }
}
