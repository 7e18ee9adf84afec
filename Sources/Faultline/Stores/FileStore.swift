internal import EventReactor
internal import Userfault

/// A store in a file.
///
/// What is in the page cache is answered at once, from where it lies there; the rest is read by threads of a pool, straight
/// into the buffer that the kernel copies from. Writes go straight from the region's memory. The file may be written by
/// nobody else meanwhile, nor made shorter: bytes that are missing are an error, not zeroes.
public final class FileStore: PageStore {
    let file: StoreFile
    /// Through the page cache, for what direct access cannot do; the same as `file` without direct access.
    let cachedFile: StoreFile
    let options: Options
    let workers: WorkerPool
    /// Write and flush. What is written may be a region's, and so may have to wait for a page; a flush may take long: reads of
    /// pages must never queue behind that.
    let writers: WorkerPool
    /// The file, mapped, where it may be read that way.
    let source: PageSource?
    /// Whether the page cache need not be asked whether it has a page.
    let isAlwaysCached: Bool
    /// How many bytes the file had when it was opened, or was given then; not more than `byteCount`.
    let fileByteCount: Int
    /// The length in bytes. What lies behind the end of a shorter file that may not be written is zero.
    public let byteCount: Int
    /// Where the file is.
    public let path: String

    /// Whether the file lies in memory (tmpfs). A write to another file system may hold a lock on the file for which reads wait,
    /// while it waits for a page of a region that has yet to be read: there it is handed copies.
    public let writesFromRegions: Bool

    /// Opens the file at `path`, and makes it longer if ``Options/byteCount`` says so (open(2), ftruncate(2), mmap(2)). Any
    /// thread; may block on the disk.
    ///
    /// - Parameters:
    ///   - path: a regular file.
    ///   - options: access, length, and how it is read and written.
    /// - Throws: ``StoreError`` when the file cannot be opened, is no regular file or has no bytes, or its file system cannot
    ///   do what the options ask for.
    public init(path: String, options: Options = Options()) throws(StoreError) {
        self.path = path
        self.options = options
        do throws(SystemFailure) {
            let isWritable = options.access != .readOnly
            cachedFile = try StoreFile(
                path: path, isWritable: isWritable, creates: options.access == .readWriteCreating)
            let size = try cachedFile.file.size()
            byteCount = options.byteCount ?? size
            if isWritable, byteCount > size { try cachedFile.file.resize(to: byteCount) }
            fileByteCount = isWritable ? byteCount : min(size, byteCount)
        } catch {
            throw StoreError(error)
        }
        guard byteCount > 0, byteCount <= Int.max - (1 << 30) else {
            throw StoreError(
                .outOfRange, "a store cannot have \(byteCount) bytes; say how long it is to be")
        }
        let readsMapping = options.reading != .pooled && !options.usesDirectIO && fileByteCount > 0
        do throws(SystemFailure) {
            file =
                options.usesDirectIO
                ? try StoreFile(path: path, isWritable: options.access != .readOnly, isDirect: true)
                : cachedFile
        } catch {
            guard error.errno == .invalidArgument else { throw StoreError(error) }
            throw StoreError(
                .unsupported, "the file system of \(path) has no direct access; open it without")
        }
        do throws(SystemFailure) {
            let page = SystemPage.size
            source =
                readsMapping
                ? PageSource(
                    mapping: try Mapping.sharedFile(
                        cachedFile.file, byteCount: (fileByteCount + page - 1) / page * page),
                    byteCount: fileByteCount) : nil
        } catch {
            throw StoreError(error)
        }
        writesFromRegions = cachedFile.liesInMemory
        isAlwaysCached = options.reading == .mapped || writesFromRegions
        do throws(ReactorError) {
            if let shared = options.workers {
                workers = shared
            } else {
                workers = try WorkerPool(threads: 2, name: "store")
            }
            writers = try WorkerPool(threads: 2, name: "store-writer")
        } catch {
            throw StoreError(.system, "the threads of the store could not be started: \(error)")
        }
    }

    /// Makes what was written durable (fdatasync(2)), on a thread of the store's own.
    ///
    /// - Throws: ``StoreError``. The kernel tells of a failed write once: what was written since the last success is to be
    ///   written again.
    public func flush() async throws(StoreError) {
        if Task.isCancelled { throw .cancelled() }
        do {
            try await writers.run { () throws(SystemFailure) in try self.cachedFile.file.synchronize() }
        } catch {
            throw StoreError(error)
        }
    }
}
