internal import EventReactor
internal import Userfault

extension FileStore {
    /// Writes on a thread of the store's own (pwrite(2)). In a sparse store pages of zeroes are punched out instead.
    ///
    /// - Throws: ``StoreError``: no room, not writable, beyond the end of the store, or the task has been cancelled.
    public func write(_ pieces: [StoreWrite]) async throws(StoreError) {
        for piece in pieces { try checkWritable(piece.range) }
        if Task.isCancelled { throw .cancelled() }
        try await writers.run { () throws(StoreError) in
            for piece in pieces {
                if self.options.isSparse { try self.writeWithoutZeroes(piece) } else { try self.write(piece) }
            }
        }
    }

    /// Takes the bytes out of the file, which gives back its space (fallocate(2), `FALLOC_FL_PUNCH_HOLE`), or writes zeroes
    /// where the file system cannot.
    ///
    /// - Throws: ``StoreError``, as for ``write(_:)``.
    public func trim(_ ranges: [Range<Int>]) async throws(StoreError) {
        for range in ranges { try checkWritable(range) }
        if Task.isCancelled { throw .cancelled() }
        try await writers.run { () throws(StoreError) in
            for range in ranges where !range.isEmpty { try self.punch(range) }
        }
    }

    private func checkWritable(_ range: Range<Int>) throws(StoreError) {
        guard options.access != .readOnly else {
            throw StoreError(
                .readOnly, "the store was opened for reading only; open it for writing", range: range)
        }
        guard range.lowerBound >= 0, range.upperBound <= byteCount else {
            throw .outOfRange(range, of: byteCount)
        }
    }

    /// Directly as far as that goes, the rest through the page cache: the end of a file is rarely aligned.
    private func write(_ piece: StoreWrite) throws(StoreError) {
        do throws(SystemFailure) {
            let aligned = piece.byteCount / file.alignment * file.alignment
            guard aligned > 0, file.fits(offset: piece.offset, byteCount: 0, address: piece.address) else {
                return try cachedFile.write(piece)
            }
            try file.write(piece.part(0..<aligned))
            if aligned < piece.byteCount { try cachedFile.write(piece.part(aligned..<piece.byteCount)) }
        } catch {
            throw StoreError(error, range: piece.range)
        }
    }

    private func writeWithoutZeroes(_ piece: StoreWrite) throws(StoreError) {
        for part in ZeroPages.parts(of: piece, storeByteCount: byteCount) {
            if part.isZero {
                try punch(piece.part(part.bytes).range)
            } else {
                try write(piece.part(part.bytes))
            }
        }
    }

    private func punch(_ range: Range<Int>) throws(StoreError) {
        do throws(SystemFailure) {
            if try cachedFile.punch(range) { return }
            let zeroes = try PageMemory(byteCount: min(range.count, 1 << 20))
            var offset = range.lowerBound
            while offset < range.upperBound {
                let count = min(zeroes.byteCount, range.upperBound - offset)
                try cachedFile.write(StoreWrite(zeroes, 0..<count, to: offset))
                offset += count
            }
        } catch {
            throw StoreError(error, range: range)
        }
    }
}

/// Finds pages of zeroes in what is to be written.
enum ZeroPages {
    /// Bytes of a piece, all of them in pages of zeroes or in pages that are not.
    struct Part: Hashable {
        var bytes: Range<Int>
        var isZero: Bool
    }

    /// The parts of a piece, in order. A page of the store of which the piece has only some bytes is none of zeroes, unless
    /// the store ends in it.
    static func parts(of piece: StoreWrite, storeByteCount: Int) -> [Part] {
        let page = SystemPage.size
        var parts: [Part] = []
        var start = 0
        while start < piece.byteCount {
            let end = min(piece.byteCount, ((piece.offset + start) / page + 1) * page - piece.offset)
            let isWhole =
                (piece.offset + start) % page == 0
                && (end - start == page || piece.offset + end == storeByteCount)
            let isZero = isWhole && piece.isZero(start..<end)
            if let last = parts.last, last.isZero == isZero {
                parts[parts.count - 1].bytes = last.bytes.lowerBound..<end
            } else {
                parts.append(Part(bytes: start..<end, isZero: isZero))
            }
            start = end
        }
        return parts
    }
}
