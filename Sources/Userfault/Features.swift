/// What a kernel can do for a descriptor beyond the basics: the `UFFD_FEATURE_*` bits, with the
/// Linux version each came in.
///
/// Some change what the kernel does for the descriptor that asks for them; others only tell that an
/// ability exists, and asking for them changes nothing ("an advertisement"). Bits of kernels newer
/// than this module are kept and printed.
public struct Features: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFD_FEATURE_PAGEFAULT_FLAG_WP` (5.7): private anonymous memory can be write-protected. An
    /// advertisement.
    public static let writeProtectFaults = Features(rawValue: 1 << 0)
    /// `UFFD_FEATURE_EVENT_FORK` (4.11): fork(2) sends a message with a descriptor for the child.
    /// Needs `CAP_SYS_PTRACE`.
    public static let forkEvents = Features(rawValue: 1 << 1)
    /// `UFFD_FEATURE_EVENT_REMAP` (4.11): mremap(2) sends a message, and the registration moves
    /// along.
    public static let remapEvents = Features(rawValue: 1 << 2)
    /// `UFFD_FEATURE_EVENT_REMOVE` (4.11): madvise(2) that drops pages sends a message.
    public static let removeEvents = Features(rawValue: 1 << 3)
    /// `UFFD_FEATURE_MISSING_HUGETLBFS` (4.11): missing pages of hugetlbfs. An advertisement.
    public static let missingHugePages = Features(rawValue: 1 << 4)
    /// `UFFD_FEATURE_MISSING_SHMEM` (4.11): missing pages of shared memory. An advertisement.
    public static let missingSharedMemory = Features(rawValue: 1 << 5)
    /// `UFFD_FEATURE_EVENT_UNMAP` (4.11): munmap(2) sends a message.
    public static let unmapEvents = Features(rawValue: 1 << 6)
    /// `UFFD_FEATURE_SIGBUS` (4.14): no messages; the faulting thread gets `SIGBUS`, a system call
    /// `EFAULT`.
    public static let sigbus = Features(rawValue: 1 << 7)
    /// `UFFD_FEATURE_THREAD_ID` (4.14): a fault names the thread that took it.
    public static let threadID = Features(rawValue: 1 << 8)
    /// `UFFD_FEATURE_MINOR_HUGETLBFS` (5.13): minor faults of hugetlbfs. An advertisement.
    public static let minorHugePages = Features(rawValue: 1 << 9)
    /// `UFFD_FEATURE_MINOR_SHMEM` (5.14): minor faults of shared memory. An advertisement.
    public static let minorSharedMemory = Features(rawValue: 1 << 10)
    /// `UFFD_FEATURE_EXACT_ADDRESS` (5.18): faults name the byte, not the page.
    public static let exactAddress = Features(rawValue: 1 << 11)
    /// `UFFD_FEATURE_WP_HUGETLBFS_SHMEM` (5.19): write-protection of shared memory and hugetlbfs.
    /// An advertisement.
    public static let writeProtectSharedMemory = Features(rawValue: 1 << 12)
    /// `UFFD_FEATURE_WP_UNPOPULATED` (6.4): protects anonymous pages that are not there yet, too.
    public static let writeProtectUnpopulated = Features(rawValue: 1 << 13)
    /// `UFFD_FEATURE_POISON` (6.6): ``Userfaultfd/poison(_:options:)`` works. An advertisement.
    public static let poison = Features(rawValue: 1 << 14)
    /// `UFFD_FEATURE_WP_ASYNC` (6.7): the kernel lifts protection by itself, without messages.
    /// Turns on ``writeProtectUnpopulated``.
    public static let asynchronousWriteProtect = Features(rawValue: 1 << 15)
    /// `UFFD_FEATURE_MOVE` (6.8): ``Userfaultfd/move(from:to:options:)`` works. An advertisement.
    public static let move = Features(rawValue: 1 << 16)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension Features: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "writeProtectFaults"),
            (bits: 1 << 1, name: "forkEvents"),
            (bits: 1 << 2, name: "remapEvents"),
            (bits: 1 << 3, name: "removeEvents"),
            (bits: 1 << 4, name: "missingHugePages"),
            (bits: 1 << 5, name: "missingSharedMemory"),
            (bits: 1 << 6, name: "unmapEvents"),
            (bits: 1 << 7, name: "sigbus"),
            (bits: 1 << 8, name: "threadID"),
            (bits: 1 << 9, name: "minorHugePages"),
            (bits: 1 << 10, name: "minorSharedMemory"),
            (bits: 1 << 11, name: "exactAddress"),
            (bits: 1 << 12, name: "writeProtectSharedMemory"),
            (bits: 1 << 13, name: "writeProtectUnpopulated"),
            (bits: 1 << 14, name: "poison"),
            (bits: 1 << 15, name: "asynchronousWriteProtect"),
            (bits: 1 << 16, name: "move"),
        ]
    }
}
