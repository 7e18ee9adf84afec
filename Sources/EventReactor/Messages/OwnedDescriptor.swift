import Synchronization

/// A descriptor that closes itself with the last reference to it.
///
/// Descriptors that arrive in a message are handed out so: whatever becomes of the message, none of them leaks. Any
/// thread may call everything here; nothing blocks, unless closing that kind of descriptor does.
public final class OwnedDescriptor: Sendable {
    private let number: Atomic<CInt>

    /// Takes over a descriptor.
    ///
    /// - Parameter descriptor: an open descriptor that nobody else closes.
    public init(owning descriptor: CInt) {
        number = Atomic(descriptor)
    }

    /// A second descriptor for the same open file, closed on exec (`fcntl(2)` with `F_DUPFD_CLOEXEC`): to send one that
    /// somebody else owns.
    ///
    /// - Parameter descriptor: an open descriptor, which stays yours.
    /// - Throws: `badDescriptor`, `system` if descriptors have run out.
    public convenience init(duplicating descriptor: CInt) throws(ReactorError) {
        self.init(owning: try SocketCall.duplicate(descriptor))
    }

    deinit {
        let descriptor = number.load(ordering: .relaxed)
        if descriptor >= 0 { SocketCall.close(descriptor) }
    }

    /// The descriptor, open as long as this object lives; -1 once it was given away.
    ///
    /// The compiler may let go of the object right after its last use: hold it (`withExtendedLifetime(_:_:)`) for as
    /// long as you use the number, or ``release()`` it.
    public var fileDescriptor: CInt { number.load(ordering: .relaxed) }

    /// Gives the descriptor away, open; it is the caller's to close. Not while a message with it is being sent.
    ///
    /// - Returns: the descriptor, or -1 if it was given away before.
    public func release() -> CInt { number.exchange(-1, ordering: .acquiringAndReleasing) }
}
