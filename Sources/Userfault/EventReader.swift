/// An ``EventBatch`` by reference, for those who keep it in an object: reading into a property of an object would be
/// checked for exclusive access each time, which a fault can feel.
///
/// Not Sendable: one thread at a time.
package final class EventReader {
    private let buffer: MessageBuffer
    package private(set) var count = 0

    package init(capacity: Int) { buffer = MessageBuffer(capacity: capacity) }

    /// As ``EventBatch/read(from:)``. Descriptors of forks are the caller's to close.
    package func read(from source: borrowing Userfaultfd) throws(UserfaultfdError) -> Int {
        let answer = buffer.fill(from: source.fileDescriptor, isShared: source.isShared)
        count = max(answer, 0)
        if answer >= 0 { return answer }
        let errno = Errno(rawValue: CInt(-answer))
        if errno == .tryAgain { return 0 }
        throw UserfaultfdError(operation: .read, errno: errno)
    }

    /// Whether one more message does not fit.
    package var isFull: Bool { count == buffer.capacity }

    /// Forgets the messages, to be filled by hand.
    package func removeAll() { count = 0 }

    /// Puts a fault in that came by another way than a read: as the message that the kernel would have sent. Allocates
    /// nothing.
    ///
    /// - Precondition: ``isFull`` is false.
    package func append(_ fault: Fault) {
        buffer.store(fault, at: count)
        count += 1
    }

    /// Takes the messages that a relay has read, in place of those that are here; fewer than fit only if there are no more.
    /// Allocates nothing. Descriptors of forks are the caller's to close.
    ///
    /// Throws what went wrong in the relay since the last call, each time once; what it has read comes with the next call.
    package func take(from relay: MessageRelay) throws(UserfaultfdError) -> Int {
        count = 0
        if let errno = relay.takeTrouble() { throw UserfaultfdError(operation: .read, errno: errno) }
        count = buffer.fill(from: relay)
        return count
    }

    /// The message at `index`, below ``count``, if it is a fault: as most are.
    package func fault(at index: Int) -> Fault? { buffer.fault(at: index) }

    /// The message at `index`, decoded anew each time.
    package subscript(index: Int) -> Event {
        precondition(index >= 0 && index < count, "no message at \(index)")
        return buffer.event(at: index)
    }
}
