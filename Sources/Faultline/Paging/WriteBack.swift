import EventReactor
import Userfault

/// A write to a store under way.
struct WriteBack {
    /// The pages that are written, as runs.
    let runs: [Range<Int>]
    /// Those of them that the clock has chosen to leave memory.
    let chosen: [Range<Int>]

    /// The most pages in one write.
    static let mostPages = 256
    /// Writes of a region that may be under way at a time.
    static let width = 4
    /// How many changed pages to either side go along with one that the clock has chosen.
    static let reach = 32
}

/// What a worker thread does about a write: it may touch the region.
struct WriteBackWork: Sendable {
    let store: any PageStore
    let pieces: [StoreWrite]
    let pool: PageBufferPool

    func run() async throws {
        if store.writesFromRegions {
            do {
                return try await store.write(pieces)
            } catch let error as StoreError where error.systemFailure?.errno == .badAddress {
                // The program has dropped a page, and a descriptor for user mode only does not serve system calls.
            }
        }
        let byteCount = pieces.reduce(0) { $0 + $1.byteCount }
        var buffer = try pool.take(byteCount)
        try await buffer.write(pieces, to: store)
    }
}

extension PageBuffer {
    /// Copies the bytes of pieces, one after the other, and has the store write the copies. On a thread that may wait for
    /// pages.
    mutating func write(_ pieces: [StoreWrite], to store: any PageStore) async throws {
        var copies: [StoreWrite] = []
        copies.reserveCapacity(pieces.count)
        var position = 0
        storage.isDirty = true
        for piece in pieces {
            piece.copy(to: storage.mapping, at: position)
            copies.append(
                StoreWrite(storage.mapping, position..<position + piece.byteCount, to: piece.offset))
            position += piece.byteCount
        }
        do {
            try await store.write(copies)
        } catch {
            // Not to be used again: a store that has failed may still be reading it.
            storage.isTaken = true
            throw error
        }
    }
}
