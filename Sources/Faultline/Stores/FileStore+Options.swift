public import EventReactor

extension FileStore {
    /// Who may write the file.
    public enum Access: Hashable, Sendable {
        /// Nobody here.
        case readOnly
        /// The store.
        case readWrite
        /// The store, which makes the file if it is not there (mode 0666, less the process's umask).
        case readWriteCreating
    }

    /// How the file is read.
    public enum Reading: Hashable, Sendable {
        /// Copied at once from where it lies in the page cache, if it is there (mincore(2); asked for every request, unless
        /// the file system lies in memory as a whole); else by threads of the pool. The default.
        case cached
        /// Copied at once from the file's mapping. A page that is not cached holds the reactor's thread while it is read.
        case mapped
        /// By threads of the pool (preadv(2)), always.
        case pooled
    }

    /// Choices for one store.
    public struct Options: Sendable {
        /// Who may write the file; ``FileStore/Access/readWrite`` by default.
        public var access: Access
        /// The length of the store in bytes; nil for the file's. A file that is shorter is made longer if it may be written,
        /// without taking space.
        public var byteCount: Int?
        /// How the file is read; ``FileStore/Reading/cached`` by default.
        public var reading: Reading
        /// Whether bytes go between memory and the device without the page cache (`O_DIRECT`): for files that are larger than
        /// memory and read through a region that caches them. Reading is ``FileStore/Reading/pooled`` then. Pieces that are
        /// not aligned to blocks go through the page cache.
        public var usesDirectIO: Bool
        /// Whether pages of zeroes take no space: they are punched out of the file as they are written (fallocate(2),
        /// `FALLOC_FL_PUNCH_HOLE`), and holes are answered without reading (lseek(2), `SEEK_DATA`, `SEEK_HOLE`), also those
        /// within what is asked for.
        public var isSparse: Bool
        /// The threads that read; nil for two of the store's own. Two more of its own write and flush.
        public var workers: WorkerPool?

        /// Options with defaults. The parameters are the properties of the same names.
        public init(
            access: Access = .readWrite, byteCount: Int? = nil, reading: Reading = .cached,
            usesDirectIO: Bool = false, isSparse: Bool = false, workers: WorkerPool? = nil
        ) {
            self.access = access
            self.byteCount = byteCount
            self.reading = reading
            self.usesDirectIO = usesDirectIO
            self.isSparse = isSparse
            self.workers = workers
        }
    }
}
