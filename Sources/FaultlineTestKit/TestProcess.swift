/// What tests need to know of, or do to, their own process.
public enum TestProcess {
    /// The bytes of anonymous memory that are resident (`RssAnon` in `/proc/self/status`). Of the whole process: for exit
    /// tests. Programs and libraries are left out: the kernel maps them in pieces as it pleases.
    public static var residentBytes: Int {
        let lines = ThreadCalls.readFile("/proc/self/status")?.split(separator: "\n") ?? []
        let fields = lines.first { $0.hasPrefix("RssAnon:") }?.split(whereSeparator: \.isWhitespace) ?? []
        return fields.count > 1 ? (Int(fields[1]) ?? 0) << 10 : 0
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
    ///
    /// - Parameters:
    ///   - bytes: its contents.
    ///   - directory: where it is made; `/dev/shm` is in memory.
    public init(_ bytes: [UInt8], in directory: String = "/tmp") {
        path = ThreadCalls.makeFile(bytes, in: directory)
    }

    /// Takes charge of a file that is there.
    public init(owning path: String) { self.path = path }

    deinit { ThreadCalls.remove(path) }

    /// Takes what is not mapped of it out of the page cache, after it was flushed (posix_fadvise(2)). False when the system
    /// refuses.
    public func dropFromCache() -> Bool { ThreadCalls.dropFromCache(path) }

    /// All its bytes. Any thread; blocks on the disk.
    public var bytes: [UInt8] { ThreadCalls.fileBytes(path) }

    /// The bytes of disk that it takes (`st_blocks`).
    public var diskByteCount: Int { ThreadCalls.diskBytes(path) }

    /// Takes all bytes out of it (truncate(2)).
    public func truncate() { ThreadCalls.truncateFile(path) }
}

/// A directory in memory with room for little (a mounted tmpfs), which lasts as long as this object.
public final class LimitedDirectory: Sendable {
    /// Where it is.
    public let path: String

    /// A new one; nil when mounting is not permitted.
    public init?(byteCount: Int) {
        guard let path = ThreadCalls.mountMemory(byteCount) else { return nil }
        self.path = path
    }

    deinit { ThreadCalls.unmount(path) }

    /// Whether this process may mount. Tries it.
    public static var isPermitted: Bool { LimitedDirectory(byteCount: 1 << 16) != nil }
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
