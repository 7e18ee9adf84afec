/// What tests need to know of, or do to, their own process.
public enum TestProcess {
    /// The bytes of memory that are resident (`/proc/self/statm`). Of the whole process: for exit tests.
    public static var residentBytes: Int {
        let fields = ThreadCalls.readFile("/proc/self/statm")?.split(separator: " ") ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) * ThreadCalls.pageSize : 0
    }

    /// Whether the address or the thread sanitizer runs along, which has memory and timing of its own.
    public static var hasSanitizer: Bool {
        ThreadCalls.hasSymbol("__asan_init") || ThreadCalls.hasSymbol("__tsan_init")
    }

    /// Gives up every privilege, for good (setresuid(2)). For exit tests. False when the system refuses.
    public static func becomeOrdinaryUser() -> Bool { ThreadCalls.becomeNobody() }

    /// Ends the process at once, without cleaning up. For exit tests.
    public static func exit(_ status: Int32) -> Never { ThreadCalls.exitAtOnce(status) }
}

/// A file that lasts as long as this object.
public final class TemporaryFile: Sendable {
    /// Where it is.
    public let path: String

    /// A new file that holds `bytes`. Any thread; blocks on the disk.
    public init(_ bytes: [UInt8]) { path = ThreadCalls.makeFile(bytes) }

    deinit { ThreadCalls.remove(path) }

    /// Takes all bytes out of it (truncate(2)).
    public func truncate() { ThreadCalls.truncateFile(path) }
}

/// A pipe, closed when the last reference goes.
public final class BytePipe: Sendable {
    /// The end to read from. It does not block.
    public let readEnd: Int32
    private let writeEnd: Int32

    /// A new pipe.
    public init() { (readEnd, writeEnd) = ThreadCalls.makePipe() }

    deinit { ThreadCalls.closeAll([readEnd, writeEnd]) }

    /// Puts a byte in.
    public func write(_ byte: UInt8) { ThreadCalls.writeByte(writeEnd, byte) }

    /// Takes a byte out; nil when there is none.
    public func read() -> UInt8? { ThreadCalls.readByte(readEnd) }
}
