/// An ``EventBatch`` by reference, for those who keep it in an object: reading into a property of an object would be
/// checked for exclusive access each time, which a fault can feel.
///
/// Not Sendable: one thread at a time.
package final class EventReader {
    private let buffer: MessageBuffer
    // Private, so that the compiler sees every access, and that none needs to be checked for exclusivity.
    private var messageCount = 0

    package var count: Int { messageCount }

    package init(capacity: Int) { buffer = MessageBuffer(capacity: capacity) }

    /// As ``EventBatch/read(from:)``. Descriptors of forks are the caller's to close.
    package func read(from source: borrowing Userfaultfd) throws(UserfaultfdError) -> Int {
        let answer = buffer.fill(from: source.fileDescriptor, isShared: source.isShared)
        messageCount = max(answer, 0)
        if answer >= 0 { return answer }
        let errno = Errno(rawValue: CInt(-answer))
        if errno == .tryAgain { return 0 }
        throw UserfaultfdError(operation: .read, errno: errno)
    }

    /// Whether one more message does not fit.
    package var isFull: Bool { count == buffer.capacity }

    /// Forgets the messages, to be filled by hand.
    package func removeAll() { messageCount = 0 }

    /// Puts a fault in that came by another way than a read: as the message that the kernel would have sent. Allocates
    /// nothing.
    ///
    /// - Precondition: ``isFull`` is false.
    package func append(_ fault: Fault) {
        buffer.store(fault, at: messageCount)
        messageCount += 1
    }

    /// Takes the messages that a relay has read, in place of those that are here; fewer than fit only if there are no more.
    /// Allocates nothing. Descriptors of forks are the caller's to close.
    ///
    /// Throws what went wrong in the relay since the last call, each time once; what it has read comes with the next call.
    package func take(from relay: MessageRelay) throws(UserfaultfdError) -> Int {
        messageCount = 0
        if let errno = relay.takeTrouble() { throw UserfaultfdError(operation: .read, errno: errno) }
        messageCount = buffer.fill(from: relay)
        return count
    }

    /// Appends the faults from `index` on, as most messages are, to `faults`, up to the first message that is none. Returns its
    /// index, or `limit`, which is at most ``count``.
    package func appendFaults(from index: Int, below limit: Int, to faults: inout [Fault]) -> Int {
        precondition(limit <= messageCount, "no message at \(limit - 1)")
        return buffer.appendFaults(from: index, below: limit, to: &faults)
    }

    /// The message at `index`, decoded anew each time.
    package subscript(index: Int) -> Event {
        precondition(index >= 0 && index < count, "no message at \(index)")
        return buffer.event(at: index)
    }
}
