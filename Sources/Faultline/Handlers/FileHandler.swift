public import EventReactor
internal import Userfault

/// Pages from a file.
///
/// What lies behind the end of the file is zero. The file must not change while it serves a region: pages would be of
/// different ages. Bytes that are cut off from it meanwhile are a failure (``FailurePolicy``), not zeroes.
public struct FileHandler: FaultHandler {
    /// How the file is read.
    public enum Reading: Sendable {
        /// Mapped, and copied from where it lies in the page cache, at once. A page that is not cached is read from the
        /// disk on the reactor's thread, which serves nothing else meanwhile: for files that are cached, or small.
        case mapped
        /// By pread(2) into a buffer, on threads of the pool; faults go on being served meanwhile.
        case positionedReads(WorkerPool)
    }

    private enum Source {
        case memory(MemoryHandler)
        case file(OpenFile, WorkerPool)
    }

    private let source: Source
    /// Where in the file the region begins, in bytes.
    public let baseOffset: Int
    /// The file's length in bytes when it was opened.
    public let byteCount: Int

    /// Opens the file at `path` for reading. Any thread; open(2) may block.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - baseOffset: where in the file the region begins, in bytes.
    ///   - reading: how it is read.
    /// - Throws: ``SystemFailure`` when it cannot be opened or mapped, or is no regular file.
    /// - Precondition: `baseOffset` is not negative.
    public init(
        path: String, startingAt baseOffset: Int = 0, reading: Reading = .mapped
    ) throws(SystemFailure) {
        precondition(baseOffset >= 0)
        self.baseOffset = baseOffset
        switch reading {
        case .mapped:
            let bytes = try PageSource(mappingFileAt: path)
            byteCount = bytes.byteCount
            source = .memory(MemoryHandler(bytes, startingAt: baseOffset))
        case .positionedReads(let workers):
            let file = try OpenFile(readingAt: path)
            byteCount = try file.size()
            source = .file(file, workers)
        }
    }

    /// The handler for the mapped bytes, where the file is mapped.
    var mappedBytes: MemoryHandler? {
        if case .memory(let memory) = source { memory } else { nil }
    }

    /// The mapped bytes; 'not now' when the file is to be read. The reactor's thread; allocates a buffer at the end of
    /// the file at most.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory for that buffer.
    public func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        guard request.kind == .missing else { return .withoutContents(request) }
        return switch source {
        case .memory(let memory): try memory.resolveNow(request)
        case .file: baseOffset + request.offset >= byteCount ? .zero : nil
        }
    }

    /// Reads the pages on a thread of the pool (pread(2)), and suspends until that is done.
    ///
    /// - Throws: ``SystemFailure`` when the file cannot be read, or there is no memory for a buffer.
    public func resolve(_ request: FaultRequest) async throws -> Resolution {
        switch source {
        case .memory(let memory):
            return try await memory.resolve(request)
        case .file(let file, let workers):
            var buffer = try request.makeBuffer()
            try await buffer.read(file, of: byteCount, at: baseOffset + request.offset, on: workers)
            return .copy(buffer)
        }
    }
}
