/// The owner of an open `/proc/PID/pagemap`: what the kernel knows of the pages of a process.
///
/// ```swift
/// let scanner = try PagemapScanner()
/// var runs = PageRuns(capacity: 512)
/// let scan = try scanner.scan(
///     range, requiring: .written, options: .writeProtectMatching, into: &runs)
/// ```
///
/// Any thread may call its methods, several at the same time; none allocates. They block for as long as they walk.
public struct PagemapScanner: ~Copyable, Sendable {
    private let descriptor: CInt

    /// Opens the pagemap of this process: open(2). It stays the pagemap of this process where a forked child inherits it.
    ///
    /// - Throws: `ENOENT` without `/proc`, `EMFILE` where no descriptor is free.
    public init() throws(UserfaultfdError) {
        try self.init(opening: 0)
    }

    /// Opens the pagemap of another process: open(2).
    ///
    /// - Throws: also `EACCES` where this process may not trace that one; `ENOENT` where it is gone.
    public init(ofProcess process: Int32) throws(UserfaultfdError) {
        precondition(process > 0, "no process has the number \(process)")
        try self.init(opening: process)
    }

    private init(opening process: Int32) throws(UserfaultfdError) {
        let answer = Kernel.openPagemap(process)
        guard answer >= 0 else {
            throw UserfaultfdError(operation: .openPagemap, errno: Errno(rawValue: -answer))
        }
        descriptor = answer
    }

    deinit {
        Kernel.close(descriptor)
    }

    /// Finds the pages of which something is true: `PAGEMAP_SCAN` (6.7), one system call.
    ///
    /// A page matches when it has all of `required` and, where that is not empty, at least one of `alternatives`; of the
    /// categories in `inverted`, having means not having.
    ///
    /// - Parameters:
    ///   - range: page-aligned; may reach over holes.
    ///   - required: the categories that a page must have, all of them.
    ///   - alternatives: categories of which a page must have one at least, where there are any.
    ///   - inverted: the categories whose absence counts as having them.
    ///   - wanted: the categories that tell runs apart, and are in them.
    ///   - options: whether to write-protect what is found.
    ///   - pageLimit: the most pages to find; 0: all.
    ///   - runs: the room for the answer, which replaces what is in it.
    /// - Returns: how far it came; a part where the room or the limit is used up.
    /// - Throws: `ENOTTY` before Linux 6.7; `EPERM` with
    ///   ``PageScanOptions/requireAsynchronousWriteProtect`` on memory that is not registered for that; `EINVAL` for a range that
    ///   is not aligned and categories the kernel does not know; `ESRCH` where the process is gone.
    public borrowing func scan(
        _ range: AddressRange, requiring required: PageCategories = [],
        anyOf alternatives: PageCategories = [], inverting inverted: PageCategories = [],
        returning wanted: PageCategories = [.written], options: PageScanOptions = [], pageLimit: Int = 0,
        into runs: inout PageRuns
    ) throws(UserfaultfdError) -> PageScan {
        precondition(pageLimit >= 0, "a limit cannot be negative")
        let answer = runs.fill(
            from: descriptor, range, options,
            (inverted: inverted, required: required, alternatives: alternatives, wanted: wanted), pageLimit)
        guard answer.error == 0 else {
            throw UserfaultfdError(operation: .scan, errno: Errno(rawValue: answer.error), range: range)
        }
        return PageScan(runCount: runs.count, walkEnd: answer.walkEnd)
    }

    /// What pagemap says of the page at an address: pread(2) of 8 bytes.
    ///
    /// - Throws: `ESRCH` where the process is gone, or has no such address.
    public borrowing func entry(at address: UInt) throws(UserfaultfdError) -> PagemapEntry {
        let answer = Kernel.pagemapEntry(descriptor, address)
        guard answer.error == 0 else {
            throw UserfaultfdError(
                operation: .readPagemap, errno: Errno(rawValue: answer.error),
                range: AddressRange(start: address, byteCount: 1))
        }
        return answer.entry
    }
}
