internal import EventReactor

extension FileStore {
    /// The bytes where they lie in the page cache, zeroes for a hole of a sparse file and for what lies behind the end.
    public func readNow(_ range: Range<Int>) -> StoredBytes? {
        if range.lowerBound >= fileByteCount { return .zero }
        // The last page of a file, if it is not full, is left to `read`.
        guard range.upperBound <= fileByteCount else { return nil }
        if options.isSparse, cachedFile.isHole(range), hasFullLength { return .zero }
        guard let source, isAlwaysCached || source.mapping.isCached(range) else { return nil }
        return .bytes(source, at: range.lowerBound)
    }

    /// Reads on a thread of the pool (pread(2)); of a sparse store, only what lies in no hole (lseek(2), `SEEK_DATA`).
    ///
    /// - Throws: ``StoreError``: the file has become shorter, cannot be read, or the task has been cancelled.
    public func read(_ pieces: [StoreRead]) async throws(StoreError) {
        if Task.isCancelled { throw .cancelled() }
        try await workers.run { () throws(StoreError) in
            for piece in pieces { try self.read(piece) }
        }
    }

    private func read(_ piece: StoreRead) throws(StoreError) {
        // The store may be shorter than its file.
        let expected = max(min(piece.range.upperBound, fileByteCount) - piece.offset, 0)
        guard expected > 0 else { return piece.zero() }
        guard options.isSparse else { return try readAll(of: piece, expected) }
        let end = piece.offset + expected
        var done = 0
        while done < expected {
            let data = cachedFile.nextData(in: piece.offset + done..<end) ?? end..<end
            let start = data.lowerBound - piece.offset
            if start > done {
                guard hasFullLength else { return try readAll(of: piece, expected) }
                piece.part(done..<start).zero()
            }
            guard !data.isEmpty else { return piece.zero(from: expected) }
            // Direct access reads whole blocks, the last one too.
            let blocks = (data.upperBound + file.alignment - 1) / file.alignment * file.alignment
            done = min(blocks - piece.offset, piece.byteCount)
            try readAll(of: piece.part(start..<done), min(done, expected) - start)
        }
        piece.zero(from: done)
    }

    /// Reads without regard to holes; of the piece, `expected` bytes lie in the file.
    private func readAll(of piece: StoreRead, _ expected: Int) throws(StoreError) {
        let isDirect = file.fits(
            offset: piece.offset, byteCount: piece.byteCount, address: piece.address)
        let count: Int
        do throws(SystemFailure) {
            count = try (isDirect ? file : cachedFile).read(piece)
        } catch {
            throw StoreError(error, range: piece.range)
        }
        guard count >= expected else {
            throw .truncated(piece.offset + count..<piece.offset + expected)
        }
        if expected < piece.byteCount { piece.zero(from: expected) }
    }

    /// A file that has become shorter looks like a hole at its end; what was cut off must not turn into zeroes.
    private var hasFullLength: Bool {
        guard let size = try? cachedFile.file.size() else { return false }
        return size >= fileByteCount
    }
}
