internal import EventReactor
internal import Userfault

extension OverlayStore {
    /// Writes to the top, after pages of which a piece has only a part were copied there from the base.
    ///
    /// - Throws: ``StoreError`` when a piece reaches beyond the end of the store, and what the stores throw. Pages that were
    ///   not in the top before are the base's then, as they were.
    public func write(_ pieces: [StoreWrite]) async throws {
        let ranges = pieces.map(\.range)
        try await prepare(ranges)
        try await top.write(pieces)
        take(ranges)
    }

    /// Trims the top, whose zeroes hide what the base has there.
    ///
    /// - Throws: as for ``write(_:)``.
    public func trim(_ ranges: [Range<Int>]) async throws {
        let ranges = ranges.filter { !$0.isEmpty }
        try await prepare(ranges)
        try await top.trim(ranges)
        take(ranges)
    }

    /// Returns when the top may be changed in these ranges: pages that they have a part of are there, and no copy of theirs is
    /// under way, which one may be for a call that was cancelled.
    private func prepare(_ ranges: [Range<Int>]) async throws {
        for range in ranges where range.lowerBound < 0 || range.upperBound > byteCount {
            throw StoreError.outOfRange(range, of: byteCount)
        }
        for range in ranges {
            let whole = wholePages(of: range)
            let touched = Self.pages(touchedBy: range)
            if whole.isEmpty {
                for page in touched { try await copyUp(page) }
            } else {
                if touched.lowerBound < whole.lowerBound { try await copyUp(touched.lowerBound) }
                if touched.upperBound > whole.upperBound { try await copyUp(whole.upperBound) }
                try await awaitCopies(of: whole)
            }
        }
    }

    /// From now on these pages come from the top.
    private func take(_ ranges: [Range<Int>]) {
        state.withLock { state in
            for range in ranges { state.written.insert(wholePages(of: range)) }
        }
    }

    /// The pages of which `range` has all that belongs to the store.
    private func wholePages(of range: Range<Int>) -> Range<Int> {
        let page = SystemPage.size
        let first = (range.lowerBound + page - 1) / page
        let end =
            range.upperBound == byteCount
            ? (range.upperBound + page - 1) / page : range.upperBound / page
        return first..<max(first, end)
    }

    private func awaitCopies(of pages: Range<Int>) async throws {
        let copies = state.withLock { state in
            state.copies.isEmpty ? [] : state.copies.filter { pages.contains($0.key) }.map(\.value)
        }
        for copy in copies {
            // How it ended is the matter of those who began it.
            do { _ = try await copy.wait() } catch { if Task.isCancelled { throw StoreError.cancelled() } }
        }
    }

    /// Copies a page from the base to the top, unless it is there; one copy for all who need it.
    private func copyUp(_ page: Int) async throws {
        while true {
            let (work, isNew): (JoinedWork?, Bool) = state.withLock { state in
                if state.written.contains(page) { return (nil, false) }
                if let copy = state.copies[page] { return (copy, false) }
                let copy = JoinedWork()
                state.copies[page] = copy
                return (copy, true)
            }
            guard let work else { return }
            if isNew { work.start(on: workers) { try await self.copy(page) } }
            if try await work.wait() == .done { return }
        }
    }

    private func copy(_ page: Int) async throws {
        defer { state.withLock { $0.copies[page] = nil } }
        let start = page * SystemPage.size
        let count = min(SystemPage.size, byteCount - start)
        let memory = try PageMemory(byteCount: count)
        try await base.read([StoreRead(from: start, into: memory, 0..<count)])
        try await top.write([StoreWrite(memory, 0..<count, to: start)])
        state.withLock { $0.written.insert(page..<page + 1) }
    }
}
