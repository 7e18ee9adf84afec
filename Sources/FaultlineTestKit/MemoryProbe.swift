/// Looks at memory in ways that a test survives.
public enum MemoryProbe {
    /// Bytes as a system call sees them, which waits for missing pages like any access (a write to a pipe, so up to
    /// 64 KiB); nil when the kernel answers `EFAULT`, as it does for poisoned and sealed pages.
    public static func readThroughKernel(_ address: UInt, count: Int) -> [UInt8]? {
        ThreadCalls.readThroughKernel(address, count: count)
    }

    /// Lets a system call write `bytes`; false when the kernel answers `EFAULT`.
    public static func writeThroughKernel(_ address: UInt, _ bytes: [UInt8]) -> Bool {
        ThreadCalls.writeThroughKernel(address, bytes)
    }

    /// Drops pages (`MADV_DONTNEED`), as an application might behind the pager's back.
    public static func discard(_ address: UInt, byteCount: Int) -> Bool {
        ThreadCalls.discard(address, byteCount)
    }

    /// Has pages made present, and locked in memory (mlock(2)); false when the system refuses.
    public static func lock(_ address: UInt, byteCount: Int) -> Bool { ThreadCalls.lock(address, byteCount) }

    /// Private anonymous memory that stays until ``unmap(_:byteCount:)``.
    public static func map(byteCount: Int) -> UInt { ThreadCalls.mapAnonymous(byteCount) }

    /// Unmaps memory.
    public static func unmap(_ address: UInt, byteCount: Int) { ThreadCalls.unmap(address, byteCount) }

    /// The byte at an address, read directly.
    public static func byte(at address: UInt) -> UInt8 { ThreadCalls.byte(at: address) }

    /// Lets a bus error end the process, as it does without a sanitizer, which would catch it. For exit tests.
    public static func dieOfBusErrors() { ThreadCalls.restoreSignal(7) }

    /// Installs a handler for a signal that does nothing, so that it interrupts and does not end the process.
    public static func handleQuietly(signal: Int32) { ThreadCalls.ignoreSignal(signal) }
}
