/// What the kernel says of a userfaultfd in `/proc/self/fdinfo`: how many threads wait, and what is
/// enabled.
///
/// A watchdog reads this from any thread without taking messages away from whoever serves them.
public struct UserfaultfdStatus: Hashable, Sendable {
    /// Threads that wait and whose messages nobody has read. Events (fork, remap, remove, unmap)
    /// are not counted.
    public var pending: Int

    /// Threads that wait, whether their messages were read or not.
    public var total: Int

    /// The features that are enabled.
    public var features: Features

    /// The operations the kernel has.
    public var operations: Operations

    /// Whether the handshake was done.
    public var isEnabled: Bool

    /// Puts a status together, for those who stand in for the kernel in tests.
    public init(pending: Int, total: Int, features: Features, operations: Operations, isEnabled: Bool) {
        self.pending = pending
        self.total = total
        self.features = features
        self.operations = operations
        self.isEnabled = isEnabled
    }

    /// Asks the kernel about a descriptor of this process. Opens and closes a file of procfs; any
    /// thread may call it.
    ///
    /// - Throws: `EBADF` where the descriptor is not open, `EINVAL` where it is no userfaultfd,
    ///   `ENOENT` without `/proc`, `EACCES` where the process may not look at itself, `EMFILE`
    ///   where no descriptor is free.
    public init(ofDescriptor descriptor: CInt) throws(UserfaultfdError) {
        let answer = Kernel.status(descriptor)
        guard answer.error == 0 else {
            throw UserfaultfdError(operation: .status, errno: Errno(rawValue: answer.error))
        }
        self = answer.status
    }
}
