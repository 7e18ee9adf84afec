internal import Glibc
package import Userfault

extension OpenFile {
    /// A new file at `path`, empty, for its owner to read and write; what was there is gone.
    package convenience init(creatingAt path: String) throws(SystemFailure) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SystemFailure(call: "open", errno: errno) }
        self.init(owning: descriptor)
    }

    /// Writes all of `bytes` at `offset`; blocks on the disk.
    package func write(_ bytes: RawSpan, at offset: Int) throws(SystemFailure) {
        let error = unsafe bytes.withUnsafeBytes { source -> CInt in
            guard let base = source.baseAddress else { return 0 }
            var done = 0
            while done < source.count {
                let count = unsafe pwrite(descriptor, base + done, source.count - done, offset + done)
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else { return count < 0 ? errno : ENOSPC }
                done += count
            }
            return 0
        }
        guard error == 0 else { throw SystemFailure(call: "pwrite", errno: error) }
    }

    /// Writes memory of this process at `offset`, as much of it as can be read, which may be nothing; blocks on the disk.
    package func write(memoryAt range: AddressRange, at offset: Int) throws(SystemFailure) -> Int {
        var done = 0
        while done < range.byteCount {
            let source = unsafe UnsafeRawPointer(bitPattern: range.start + UInt(done))
            let count = unsafe pwrite(descriptor, source, range.byteCount - done, offset + done)
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EFAULT { break }
            guard count > 0 else { throw SystemFailure(call: "pwrite", errno: count < 0 ? errno : ENOSPC) }
            done += count
        }
        return done
    }

    /// Sets the length; what is new reads as zero and takes no space.
    package func resize(to byteCount: Int) throws(SystemFailure) {
        guard ftruncate(descriptor, byteCount) == 0 else {
            throw SystemFailure(call: "ftruncate", errno: errno)
        }
    }

    /// Blocks until what was written is on the disk.
    package func synchronize() throws(SystemFailure) {
        guard fdatasync(descriptor) == 0 else { throw SystemFailure(call: "fdatasync", errno: errno) }
    }

    package static func rename(_ path: String, to newPath: String) throws(SystemFailure) {
        guard unsafe Glibc.rename(path, newPath) == 0 else {
            throw SystemFailure(call: "rename", errno: errno)
        }
    }

    package static func remove(_ path: String) { _ = unsafe unlink(path) }
}
