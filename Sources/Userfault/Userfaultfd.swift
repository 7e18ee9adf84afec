/// The owner of a userfaultfd: a descriptor by which a process serves page faults of its own, or of
/// another's.
///
/// ```swift
/// let descriptor = try Userfaultfd(requiring: .threadID)
/// let operations = try descriptor.register(range, modes: .missing)
/// ```
///
/// It cannot be copied, and the descriptor is closed with it. Closing unregisters all ranges and
/// lets everyone go who waits; what was still missing then reads as **zero**: fill or poison first.
/// A duplicate of the descriptor elsewhere (dup(2), another process, a thread blocked in read(2))
/// keeps it alive.
///
/// The descriptor never blocks and is not inherited by exec; an adopted one does not even when the
/// process that it came from makes it blocking again, which concerns both. It belongs for ever to the memory of
/// the process that opened it. All methods may be called from any thread, also at the same time;
/// none but those that open allocates.
@safe
public struct Userfaultfd: ~Copyable, Sendable {
    /// The descriptor, to wait for: readable when there are messages. Do not close it. Readiness is
    /// a hint: a fault can be gone when it is read.
    public let fileDescriptor: CInt

    /// The features that are enabled.
    public let features: Features

    /// The features the kernel has. Of an adopted descriptor only those enabled are known.
    public let availableFeatures: Features

    /// How it was opened; nil where it was adopted.
    public let access: Access?

    /// Whether another process has it as well, and may change the flags that the two share.
    var isShared: Bool { access == nil }

    /// Takes over a descriptor that is enabled already: received from another process, or of a
    /// forked child. Sets it non-blocking and close-on-exec. Does not check it; a descriptor that
    /// is not open answers `EBADF` at the first use.
    ///
    /// - Parameters:
    ///   - descriptor: the descriptor; closed with the new value.
    ///   - features: what it was enabled with.
    public init(adopting descriptor: CInt, features: Features) {
        _ = Kernel.setFlags(descriptor)
        self.init(owning: descriptor, features: features, available: features, access: nil)
    }

    init(owning descriptor: CInt, features: Features, available: Features, access: Access?) {
        self.fileDescriptor = descriptor
        self.features = features
        self.availableFeatures = available
        self.access = access
    }

    deinit {
        Kernel.close(fileDescriptor)
    }

    /// Closes the descriptor now; see the type for what that does to waiting threads. Maps to
    /// close(2).
    public consuming func close() {
        // Ends the life of the value; deinit does the work.
    }

    /// Gives the descriptor away, open, to be closed by the caller: to send it to another process,
    /// for instance.
    public consuming func release() -> CInt {
        let descriptor = fileDescriptor
        discard self
        return descriptor
    }

    /// How many threads wait, and what is enabled, as the kernel has it. See
    /// ``UserfaultfdStatus/init(ofDescriptor:)``.
    public borrowing func status() throws(UserfaultfdError) -> UserfaultfdStatus {
        try UserfaultfdStatus(ofDescriptor: fileDescriptor)
    }
}
