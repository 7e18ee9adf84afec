public import Userfault

/// A system call of this module's own that failed (mmap, open, pread and the like).
public struct SystemFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call's name.
    public let call: String
    /// What the kernel answered.
    public let errno: Errno

    package init(call: String, errno: CInt) {
        self.call = call
        self.errno = Errno(rawValue: errno)
    }

    /// The call and its error in words.
    public var description: String { "\(call) failed: \(errno)" }
}
