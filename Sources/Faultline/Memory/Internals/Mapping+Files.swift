internal import Glibc

extension Mapping {
    /// Reads from the file at `fileOffset` into the bytes `range` of this mapping until they are full or the file
    /// ends; blocks on the disk. Returns the number of bytes read; fewer than `minimum` are an error (`EIO`).
    package func read(
        _ range: Range<Int>, from file: OpenFile, at fileOffset: Int, minimum: Int = 0
    ) throws(SystemFailure) -> Int {
        var done = 0
        while done < range.count {
            let count = unsafe pread(
                file.descriptor, pointer(range.lowerBound + done, range.count - done), range.count - done,
                fileOffset + done)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                throw SystemFailure(call: "pread", errno: errno)
            }
            done += count
        }
        // The file was longer when it was opened: what was cut off must not turn into zeroes.
        guard done >= minimum else { throw SystemFailure(call: "pread", errno: EIO) }
        return done
    }
}
