internal import EventReactor
internal import Userfault

/// A file that a snapshot is written to: the region's bytes, from its first to its last.
///
/// It appears under its name when it is complete, in place of the one that was there; until then it is called `….partial`. When
/// the snapshot fails, it is removed. It can serve as target again and again, for one snapshot at a time. ``FileHandler`` restores
/// a region from it.
public final class SnapshotFile: SnapshotTarget {
    /// Where it is going to be.
    public let path: String
    /// Whether pages of zeroes are left out of the file, in which they then take no space. Takes a look at every page.
    public let isSparse: Bool
    /// Whether the file is on the disk (fdatasync(2)) before it gets its name.
    public let synchronizes: Bool
    private let file = Lock<OpenFile?>(nil)

    /// A target; the file is made when a snapshot begins.
    ///
    /// - Parameters:
    ///   - path: where it is going to be. Its directory must exist.
    ///   - isSparse: whether pages of zeroes are left out, to be read as such all the same: a smaller file, and somewhat more work.
    ///   - synchronizes: whether to wait for the disk at the end.
    public init(path: String, isSparse: Bool = false, synchronizes: Bool = false) {
        self.path = path
        self.isSparse = isSparse
        self.synchronizes = synchronizes
    }

    private var partialPath: String { path + ".partial" }

    /// Makes the file (open(2), ftruncate(2)).
    ///
    /// - Throws: ``SystemFailure``.
    public func begin(_ layout: SnapshotLayout) throws {
        let new = try OpenFile(creatingAt: partialPath)
        do {
            // Pages that are left out read as zero.
            try new.resize(to: layout.byteCount)
        } catch {
            OpenFile.remove(partialPath)
            throw error
        }
        file.withLock { $0 = new }
    }

    /// Writes (pwrite(2)).
    ///
    /// - Throws: ``SystemFailure``, for instance `ENOSPC` when the disk is full.
    public func write(_ bytes: RawSpan, at offset: Int) throws {
        guard let file = file.withLock({ $0 }) else { return }
        guard isSparse else { return try file.write(bytes, at: offset) }
        let grain = min(4096, bytes.byteCount)
        var start = 0
        while start < bytes.byteCount {
            // What is not zero is written in as few pieces as there are gaps.
            var end = start
            while end < bytes.byteCount, !bytes.extracting(end..<min(end + grain, bytes.byteCount)).isZero {
                end = min(end + grain, bytes.byteCount)
            }
            if end > start { try file.write(bytes.extracting(start..<end), at: offset + start) }
            start = min(end + grain, bytes.byteCount)
        }
    }

    /// Gives the file its name (rename(2)).
    ///
    /// - Throws: ``SystemFailure``.
    public func finish() throws {
        guard let file = file.withLock({ $0 }) else { return }
        if synchronizes { try file.synchronize() }
        try OpenFile.rename(partialPath, to: path)
        self.file.withLock { $0 = nil }
    }

    /// Removes the file (unlink(2)).
    public func abandon() {
        file.withLock { $0 = nil }
        OpenFile.remove(partialPath)
    }
}

extension SnapshotFile: DirectSnapshotTarget {
    var takesMemory: Bool { !isSparse }

    func write(memoryAt range: AddressRange, at offset: Int) throws -> Int {
        guard let file = file.withLock({ $0 }) else { return 0 }
        return try file.write(memoryAt: range, at: offset)
    }
}
