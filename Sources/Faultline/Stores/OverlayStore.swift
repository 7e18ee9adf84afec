public import EventReactor
internal import Userfault

/// What was written, in front of a base that stays as it is: a clone of a snapshot, to be written like any other store.
///
/// Pages come from the top store once they were written, and from the base until then. The base is only ever read, so any
/// number of overlays may share one; it must not be changed by anybody else either. A page that is written in part is copied
/// to the top first. Trimmed pages read as zero, not as the base's.
///
/// ```swift
/// let image = try FileStore(path: "image", options: .init(access: .readOnly))
/// let clone = try OverlayStore(over: image, in: MemoryStore(byteCount: image.byteCount))
/// let region = try await pager.map(store: clone)
/// ```
///
/// Which pages were written is kept in memory (a bit for each page): ``flush()`` makes the top durable, not that. To open a
/// clone anew, keep ``writtenRanges`` of after the flush, and hand it to the initializer. The holes of a sparse top do not say
/// it: pages that were trimmed are holes as well.
public final class OverlayStore: PageStore {
    struct State: Sendable {
        var written: PageMap
        /// Copies of pages of the base that are under way.
        var copies: [Int: JoinedWork] = [:]
    }

    let base: any PageStore
    let top: any PageStore
    let state: Lock<State>
    /// Copy pages from the base to the top.
    let workers: WorkerPool
    /// The length in bytes: the top's.
    public let byteCount: Int

    /// That of the top.
    public var writesFromRegions: Bool { top.writesFromRegions }

    /// Puts `top` in front of `base`. Any thread; starts a thread if it is given none.
    ///
    /// - Parameters:
    ///   - base: what is read where nothing was written. It may be shorter than the top, but not longer.
    ///   - top: what is written. What it holds elsewhere than in `written` is never read.
    ///   - written: the bytes of the top that are in use already: ``writtenRanges`` of an overlay before.
    ///   - workers: the threads that copy pages which are written in part; nil for one of the store's own.
    /// - Throws: ``StoreError`` when the base is longer than the top, `written` holds anything but whole pages of the store,
    ///   or the thread cannot be started.
    public init(
        over base: any PageStore, in top: any PageStore, written: [Range<Int>] = [],
        workers: WorkerPool? = nil
    ) throws(StoreError) {
        let page = SystemPage.size
        let byteCount = top.byteCount
        guard base.byteCount <= byteCount else {
            throw StoreError(
                .outOfRange,
                "the base has \(base.byteCount) bytes, the top only \(byteCount); make the top as long")
        }
        var map = PageMap(pageCount: byteCount / page + (byteCount % page == 0 ? 0 : 1))
        for range in written {
            guard range.lowerBound >= 0, range.upperBound <= byteCount, range.lowerBound % page == 0,
                range.upperBound % page == 0 || range.upperBound == byteCount
            else {
                throw StoreError(
                    .outOfRange, "what was written is told in whole pages of the store", range: range)
            }
            map.insert(range.lowerBound / page..<(range.upperBound + page - 1) / page)
        }
        self.base = base
        self.top = top
        self.byteCount = byteCount
        state = Lock(State(written: map))
        do throws(ReactorError) {
            self.workers = if let workers { workers } else { try WorkerPool(threads: 1, name: "overlay") }
        } catch {
            throw StoreError(.system, "the thread of the overlay could not be started: \(error)")
        }
    }

    /// The bytes that come from the top, in order, as whole pages (the last one may end with the store). Any thread; allocates
    /// the array.
    public var writtenRanges: [Range<Int>] {
        let page = SystemPage.size
        return state.withLock { $0.written.runs }.map {
            $0.lowerBound * page..<min($0.upperBound * page, byteCount)
        }
    }

    /// What the store in question has at hand; nil also for bytes that lie partly in the one, partly in the other.
    ///
    /// - Throws: what that store throws.
    public func readNow(_ range: Range<Int>) throws -> StoredBytes? {
        guard !range.isEmpty else { return nil }
        let pages = Self.pages(touchedBy: range)
        let isTop: Bool? = state.withLock { state in
            let end = state.written.endOfRun(in: pages)
            guard end >= min(pages.upperBound, state.written.pageCount) else { return nil }
            return state.written.contains(pages.lowerBound)
        }
        return switch isTop {
        case true?: try top.readNow(range)
        case false?: try base.readNow(range)
        case nil: nil
        }
    }

    /// Reads from the top what was written, and the rest from the base.
    ///
    /// - Throws: what these throw.
    public func read(_ pieces: [StoreRead]) async throws {
        var fromTop: [StoreRead] = []
        var fromBase: [StoreRead] = []
        // Pages that go to the top meanwhile hold the same bytes in both, except for those that nobody may be reading.
        state.withLock { state in
            for piece in pieces { state.written.divide(piece, &fromTop, &fromBase) }
        }
        if !fromTop.isEmpty { try await top.read(fromTop) }
        if !fromBase.isEmpty { try await base.read(fromBase) }
    }

    /// Makes the top durable.
    ///
    /// - Throws: what it throws.
    public func flush() async throws { try await top.flush() }

    static func pages(touchedBy range: Range<Int>) -> Range<Int> {
        range.lowerBound / SystemPage.size..<(range.upperBound - 1) / SystemPage.size + 1
    }
}

extension PageMap {
    /// Adds the parts of a piece to those of pages that are in the map, and of those that are not.
    fileprivate func divide(_ piece: StoreRead, _ inside: inout [StoreRead], _ outside: inout [StoreRead]) {
        let page = SystemPage.size
        let pages = OverlayStore.pages(touchedBy: piece.range)
        var first = pages.lowerBound
        while first < pages.upperBound {
            let end = endOfRun(in: first..<pages.upperBound)
            let part = piece.part(
                max(first * page - piece.offset, 0)..<min(end * page - piece.offset, piece.byteCount))
            if contains(first) { inside.append(part) } else { outside.append(part) }
            first = end
        }
    }
}
