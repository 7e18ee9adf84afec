import CLibevent
import Glibc

/// Bytes that wait to be sent: libevent's evbuffer, emptied with `sendmsg(2)` because that, unlike `writev(2)`, can
/// be told not to raise SIGPIPE. The owner frees it exactly once.
@safe struct OutputBuffer {
    private let pointer: OpaquePointer

    init() throws(ReactorError) {
        guard let buffer = unsafe evbuffer_new() else {
            throw ReactorError(.system, "evbuffer_new", systemError: SystemCall.outOfMemory)
        }
        unsafe pointer = buffer
    }

    var count: Int { unsafe evbuffer_get_length(pointer) }

    /// Copies the bytes from `offset` on.
    ///
    /// - Returns: whether there was memory.
    func append(_ bytes: RawSpan, from offset: Int) -> Bool {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let start = buffer.baseAddress else { return true }
            return unsafe evbuffer_add(pointer, start + offset, buffer.count - offset) == 0
        }
    }

    /// Sends what the socket takes, at most `limit` bytes and 16 pieces.
    ///
    /// - Returns: bytes sent, or a negative errno.
    func send(to descriptor: CInt, atMost limit: Int) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: 16) { pieces in
            let found = unsafe evbuffer_peek(pointer, limit, nil, pieces.baseAddress, CInt(pieces.count))
            var message = unsafe msghdr()
            unsafe message.msg_iov = pieces.baseAddress
            unsafe message.msg_iovlen = min(Int(found), pieces.count)
            let sent = unsafe sendmsg(descriptor, &message, CInt(MSG_NOSIGNAL))
            guard sent >= 0 else { return -Int(errno) }
            unsafe evbuffer_drain(pointer, sent)
            return sent
        }
    }

    func free() { unsafe evbuffer_free(pointer) }
}
