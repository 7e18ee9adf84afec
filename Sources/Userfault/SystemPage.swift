/// The page of this machine: 4, 16 or 64 KiB on the machines there are. Never assume one of them.
public enum SystemPage {
    /// The size of a page in bytes, asked for once (`sysconf(_SC_PAGESIZE)`). Any thread may ask.
    public static let size: Int = Kernel.pageSize

    /// The address of the page that `address` lies in.
    public static func start(of address: UInt) -> UInt {
        address & ~UInt(bitPattern: size &- 1)
    }

    /// `byteCount` rounded up to whole pages, in bytes.
    ///
    /// - Precondition: the result fits in an `Int`.
    public static func roundedUp(_ byteCount: Int) -> Int {
        (byteCount + (size - 1)) & ~(size - 1)
    }
}
