/// Room for the messages of one read(2), made once and used again and again.
///
/// ```swift
/// var batch = EventBatch()
/// while try batch.read(from: descriptor) > 0 {
///     for index in 0..<batch.count { handle(batch[index]) }
/// }
/// ```
///
/// The messages of a batch are valid until the next read. A batch is used by one thread at a time,
/// and its buffer is ordinary heap memory: do not register the heap.
public struct EventBatch: ~Copyable, Sendable {
    private var buffer: MessageBuffer
    private var features: Features = []

    /// The number of messages that the last read brought.
    public private(set) var count = 0

    /// Makes a batch for up to `capacity` messages of 32 bytes each. The only call here that
    /// allocates.
    ///
    /// - Precondition: `capacity` is positive.
    public init(capacity: Int = 64) {
        precondition(capacity > 0, "a batch needs room for a message")
        buffer = MessageBuffer(capacity: capacity)
    }

    deinit {
        // A descriptor nobody serves would block the forked child for ever; closed, its missing
        // pages become zero.
        for index in 0..<count {
            if case .fork(let descriptor) = buffer.event(at: index), descriptor >= 0 {
                Kernel.close(descriptor)
            }
        }
    }

    /// The most messages that one read brings.
    public var capacity: Int { buffer.capacity }

    /// Reads the messages that are there, in place of those of the last read: one read(2), which
    /// does not block and is repeated when a signal interrupts it. Allocates nothing. Descriptors
    /// of forks that nobody took are closed first.
    ///
    /// - Returns: the number of messages; 0 where none is pending. A full batch says that there may
    ///   be more.
    /// - Throws: `EMFILE` where the message is a fork and no descriptor is free: the message stays,
    ///   the forking process waits; free a descriptor and read again. `EINVAL` where the descriptor
    ///   was adopted before its handshake.
    public mutating func read(from source: borrowing Userfaultfd) throws(UserfaultfdError) -> Int {
        closeUnclaimedForks()
        features = source.features
        let answer = buffer.fill(from: source.fileDescriptor, isShared: source.isShared)
        guard answer < 0 else {
            count = answer
            return answer
        }
        count = 0
        let errno = Errno(rawValue: CInt(-answer))
        if errno == .tryAgain { return 0 }
        throw UserfaultfdError(operation: .read, errno: errno)
    }

    /// The message at `index`, decoded anew each time; allocates nothing.
    ///
    /// - Precondition: `index` is at least 0 and less than ``count``.
    public subscript(index: Int) -> Event {
        precondition(index >= 0 && index < count, "no message at \(index)")
        return buffer.event(at: index)
    }

    /// Calls `body` with each message in turn.
    public borrowing func forEach<E: Error>(_ body: (Event) throws(E) -> Void) throws(E) {
        for index in 0..<count {
            try body(buffer.event(at: index))
        }
    }

    /// Hands over the descriptor of a fork: a userfaultfd for the child, with the features of its
    /// parent's. Nil where the message is no fork, or was taken already.
    ///
    /// What is not taken is closed by the next ``read(from:)``, by ``closeUnclaimedForks()`` and
    /// with the batch: the child's missing pages then are ordinary zero memory.
    ///
    /// - Precondition: `index` is at least 0 and less than ``count``.
    public mutating func takeFork(at index: Int) -> Userfaultfd? {
        precondition(index >= 0 && index < count, "no message at \(index)")
        guard let descriptor = buffer.takeFork(at: index) else { return nil }
        return Userfaultfd(adopting: descriptor, features: features)
    }

    /// Puts messages in by hand, 32 bytes each, in place of those of the last read: for tests without a kernel.
    package mutating func load(_ messages: [[UInt8]]) {
        closeUnclaimedForks()
        count = min(messages.count, capacity)
        for index in 0..<count {
            buffer.store(messages[index], at: index)
        }
    }

    /// Closes the descriptors of forks that were not taken, so that their children are not blocked
    /// by pages nobody serves.
    public mutating func closeUnclaimedForks() {
        for index in 0..<count {
            if let descriptor = buffer.takeFork(at: index) { Kernel.close(descriptor) }
        }
    }
}
