/// One thread waits for a page: `UFFD_EVENT_PAGEFAULT`.
///
/// There is one for every waiting *thread*, so several can be about one page; and one may be stale
/// when it is read, since a signal lets its thread go to fault anew.
public struct Fault: Hashable, Sendable {
    /// The address that was touched: of the page, or of the byte with ``Features/exactAddress``.
    public var address: UInt

    /// The bits the kernel sent, those without a name included.
    public var flags: Flags

    /// The thread that waits, as its own process numbers it; nil without ``Features/threadID``. It
    /// can belong to a foreign process that reads this one's memory.
    public var threadID: UInt32?

    /// Puts a fault together from the kernel's bits.
    public init(address: UInt, flags: Flags, threadID: UInt32? = nil) {
        self.address = address
        self.flags = flags
        self.threadID = threadID
    }

    /// Puts a fault together from what it means.
    public init(address: UInt, kind: Kind, isWrite: Bool, threadID: UInt32? = nil) {
        var flags: Flags = isWrite ? .write : []
        switch kind {
        case .missing: break
        case .minor: flags.insert(.minor)
        case .writeProtect: flags.insert(.writeProtect)
        }
        self.init(address: address, flags: flags, threadID: threadID)
    }

    /// Why the thread waits.
    public var kind: Kind {
        if flags.contains(.writeProtect) { return .writeProtect }
        return flags.contains(.minor) ? .minor : .missing
    }

    /// Whether the access was a write.
    public var isWrite: Bool { flags.contains(.write) }

    /// Why a thread waits.
    public enum Kind: Hashable, Sendable {
        /// The page is not there.
        case missing
        /// The page is in the page cache but not mapped here (`UFFD_PAGEFAULT_FLAG_MINOR`).
        case minor
        /// The page is write-protected (`UFFD_PAGEFAULT_FLAG_WP`); always a write.
        case writeProtect
    }

    /// The bits of a fault: `UFFD_PAGEFAULT_FLAG_*`.
    public struct Flags: OptionSet, Hashable, Sendable, CustomStringConvertible {
        /// The bits as the kernel sent them.
        public let rawValue: UInt64

        /// Takes the bits as they are.
        public init(rawValue: UInt64) {
            self.rawValue = rawValue
        }

        /// `UFFD_PAGEFAULT_FLAG_WRITE`
        public static let write = Flags(rawValue: 1 << 0)
        /// `UFFD_PAGEFAULT_FLAG_WP`
        public static let writeProtect = Flags(rawValue: 1 << 1)
        /// `UFFD_PAGEFAULT_FLAG_MINOR`
        public static let minor = Flags(rawValue: 1 << 2)

        /// The names of the members, and bits without a name in hexadecimal.
        public var description: String { list }
    }
}

extension Fault.Flags: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "write"),
            (bits: 1 << 1, name: "writeProtect"),
            (bits: 1 << 2, name: "minor"),
        ]
    }
}

extension Fault: CustomStringConvertible {
    /// For instance `missing write at 0x7f0000000000 by thread 4711`.
    public var description: String {
        let by = threadID.map { " by thread \($0)" } ?? ""
        return "\(kind) \(isWrite ? "write" : "read") at 0x\(String(address, radix: 16))\(by)"
    }
}
