internal import EventReactor

/// Memory that a snapshot is written to.
///
/// It can serve as target again and again; a snapshot begins with memory of its own, so that what was taken from an earlier one stays
/// as it is.
public final class SnapshotMemory: SnapshotTarget {
    private struct State {
        var mapping: Mapping?
        var source: PageSource?
    }

    private let state = Lock(State())

    /// A target; its memory is mapped when a snapshot begins.
    public init() {}

    /// The image of the last snapshot that succeeded, say for a ``MemoryHandler`` that restores it; nil before that.
    public var image: PageSource? { state.withLock { $0.source } }

    /// Maps memory as long as the region (mmap(2)); it is used as it is written.
    ///
    /// - Throws: ``SystemFailure`` when there is none.
    public func begin(_ layout: SnapshotLayout) throws {
        let mapping = try Mapping.anonymous(byteCount: layout.byteCount)
        state.withLock { $0.mapping = mapping }
    }

    /// Copies the bytes; nothing where they are zero.
    public func write(_ bytes: RawSpan, at offset: Int) {
        guard let mapping = state.withLock({ $0.mapping }), !bytes.isZero else { return }
        mapping.write(bytes, at: offset)
    }

    /// Makes the image available.
    public func finish() {
        state.withLock { state in
            guard let mapping = state.mapping else { return }
            state.source = PageSource(mapping: mapping, byteCount: mapping.byteCount)
            state.mapping = nil
        }
    }

    /// Lets go of the memory.
    public func abandon() { state.withLock { $0.mapping = nil } }
}
