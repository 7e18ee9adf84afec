/// An error number of the kernel, as in errno(3).
public struct Errno: RawRepresentable, Hashable, Sendable {
    /// The number, as the C library knows it on this machine.
    public let rawValue: CInt

    /// Takes a number as it is.
    public init(rawValue: CInt) {
        self.rawValue = rawValue
    }
}
