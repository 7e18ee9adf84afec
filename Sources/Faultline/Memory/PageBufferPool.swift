import EventReactor

/// A piece of memory that belongs to one buffer at a time.
///
/// `@unchecked`: the flags are touched by the one owner of the buffer (a noncopyable value) only, or by the pool,
/// under its lock, while nobody owns it.
final class PageBufferStorage: @unchecked Sendable {
    let mapping: Mapping
    let sizeClass: Int
    /// Whether bytes of an earlier use are still there.
    var isDirty = false
    /// Whether the pager has it: it will give it back.
    var isTaken = false
    /// How many pieces of the pager's work still copy from it.
    var uses = 0

    init(mapping: Mapping, sizeClass: Int) {
        self.mapping = mapping
        self.sizeClass = sizeClass
    }
}

/// The buffers of one region, by powers of two of the page size. Any thread.
package final class PageBufferPool: Sendable {
    private struct State {
        var free: [[PageBufferStorage]] = []
        var retainedBytes = 0
    }

    private let state = Lock(State())
    private let pageSize: Int
    /// Memory kept for reuse, at most; above it buffers are unmapped when they come back.
    private let retainedByteLimit: Int
    /// Whether buffers that are long enough are made of huge pages.
    private let usesHugePages: Bool

    package init(pageSize: Int, retainedByteLimit: Int = 16 << 20, usesHugePages: Bool = false) {
        self.pageSize = pageSize
        self.retainedByteLimit = retainedByteLimit
        self.usesHugePages = usesHugePages
    }

    /// The bytes kept for reuse now.
    package var retainedByteCount: Int { state.withLock { $0.retainedBytes } }

    /// A buffer of `byteCount` bytes, a whole number of pages.
    package func take(_ byteCount: Int) throws(SystemFailure) -> PageBuffer {
        let pages = (byteCount + pageSize - 1) / pageSize
        let sizeClass = pages <= 1 ? 0 : Int.bitWidth - (pages - 1).leadingZeroBitCount
        let reused = state.withLock { state -> PageBufferStorage? in
            guard sizeClass < state.free.count, let storage = state.free[sizeClass].popLast() else {
                return nil
            }
            state.retainedBytes -= storage.mapping.byteCount
            return storage
        }
        let storage: PageBufferStorage
        if let reused {
            storage = reused
            storage.isTaken = false
            storage.uses = 0
        } else {
            storage = PageBufferStorage(mapping: try map(pageSize << sizeClass), sizeClass: sizeClass)
        }
        return PageBuffer(byteCount: byteCount, storage: storage, pool: self)
    }

    private func map(_ byteCount: Int) throws(SystemFailure) -> Mapping {
        guard usesHugePages, byteCount >= HugePage.size else {
            return try Mapping.anonymous(byteCount: byteCount)
        }
        let mapping = try Mapping.anonymousAligned(byteCount: byteCount)
        mapping.preferHugePages(mapping.range)
        return mapping
    }

    func recycle(_ storage: PageBufferStorage) {
        state.withLock { state in
            let byteCount = storage.mapping.byteCount
            guard state.retainedBytes + byteCount <= retainedByteLimit else { return }
            storage.isDirty = true
            while state.free.count <= storage.sizeClass { state.free.append([]) }
            state.free[storage.sizeClass].append(storage)
            state.retainedBytes += byteCount
        }
    }
}
