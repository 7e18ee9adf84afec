internal import Glibc
internal import Userfault

/// The file of a store: read and written at positions.
final class StoreFile: Sendable {
    let file: OpenFile
    /// What offsets, lengths and addresses must be multiples of: one byte, unless it is read and written directly.
    let alignment: Int

    /// Opens a file; `isDirect` for access without the page cache, which not every file system has (`EINVAL`).
    init(
        path: String, isWritable: Bool, creates: Bool = false, isDirect: Bool = false
    ) throws(SystemFailure) {
        let flags = (isWritable ? O_RDWR : O_RDONLY) | (creates ? O_CREAT : 0)
        let descriptor = FileCalls.open(path, flags: flags, isDirect: isDirect, mode: 0o666)
        guard descriptor >= 0 else { throw SystemFailure(call: "open", errno: -descriptor) }
        file = OpenFile(owning: descriptor)
        alignment = isDirect ? Self.directAlignment(descriptor) : 1
    }

    /// What direct access needs: the size of the file system's blocks, which is no less than the device's.
    private static func directAlignment(_ descriptor: CInt) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { return 4096 }
        let size = Int(status.st_blksize)
        return size >= 512 && size <= 1 << 20 && size & (size - 1) == 0 ? size : 4096
    }

    /// Whether all of it is in the page cache by nature.
    var liesInMemory: Bool { FileCalls.liesInMemory(file.descriptor) }

    /// Whether the bytes lie in a hole of the file.
    func isHole(_ range: Range<Int>) -> Bool {
        let data = FileCalls.nextData(file.descriptor, from: range.lowerBound)
        return data < 0 ? data == -Int(ENXIO) : data >= range.upperBound
    }

    /// The first bytes at or after the beginning of `range` that lie in no hole, as far as they lie in the range; nil when
    /// there are none. Where the file system does not tell, all of them. Bytes behind the end of the file lie in a hole.
    func nextData(in range: Range<Int>) -> Range<Int>? {
        let start = FileCalls.nextData(file.descriptor, from: range.lowerBound)
        guard start >= 0 else { return start == -Int(ENXIO) ? nil : range }
        guard start < range.upperBound else { return nil }
        // SEEK_HOLE, which Glibc's module does not have.
        let end = lseek(file.descriptor, start, 4)
        return start..<(end > start ? min(end, range.upperBound) : range.upperBound)
    }

    /// Takes bytes out of the file, which then read as zero and take no space; false when the file system cannot.
    func punch(_ range: Range<Int>) throws(SystemFailure) -> Bool {
        switch -FileCalls.punch(file.descriptor, range) {
        case 0: return true
        case EOPNOTSUPP, ENOSYS: return false
        case let number: throw SystemFailure(call: "fallocate", errno: number)
        }
    }

    /// Whether a piece may be read or written directly.
    func fits(offset: Int, byteCount: Int, address: UInt) -> Bool {
        (UInt(bitPattern: offset | byteCount) | address) & UInt(alignment - 1) == 0
    }

    /// Reads a piece until it is full or the file ends; blocks on the disk. Returns how many bytes there were.
    func read(_ piece: StoreRead) throws(SystemFailure) -> Int {
        var done = 0
        while done < piece.byteCount {
            let count = unsafe pread(
                file.descriptor, piece.unsafeAddress + done, piece.byteCount - done, piece.offset + done)
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemFailure(call: "pread", errno: errno)
            }
            done += count
            // The end of the file: behind it nothing aligned is left to ask for.
            if count == 0 || done % alignment != 0 { break }
        }
        return done
    }

    /// Writes all of a piece; blocks on the disk.
    func write(_ piece: StoreWrite) throws(SystemFailure) {
        var done = 0
        while done < piece.byteCount {
            let count = unsafe pwrite(
                file.descriptor, piece.unsafeAddress + done, piece.byteCount - done, piece.offset + done)
            if count < 0, errno == EINTR { continue }
            // Regular files take at least a byte, or say why not.
            guard count > 0 else { throw SystemFailure(call: "pwrite", errno: count < 0 ? errno : EIO) }
            done += count
        }
    }
}

extension StoreRead {
    /// Where the bytes are to be put, for C and for system calls.
    ///
    /// - Warning: Valid until the call of the store that this piece was handed to returns.
    @unsafe
    public var unsafeAddress: UnsafeMutableRawPointer { unsafe memory.pointer(memoryOffset, byteCount) }
}

extension StoreWrite {
    /// Where the bytes are, for C and for system calls.
    ///
    /// - Warning: Valid until the call of the store that this piece was handed to returns. They may be a region's: to be
    ///   touched on threads that are no reactor's.
    @unsafe
    public var unsafeAddress: UnsafeRawPointer {
        unsafe UnsafeRawPointer(memory.pointer(memoryOffset, byteCount))
    }
}
