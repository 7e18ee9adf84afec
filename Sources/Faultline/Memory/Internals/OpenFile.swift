internal import Glibc
internal import Userfault

/// An open file, closed when the last reference goes.
package final class OpenFile: Sendable {
    package let descriptor: CInt

    /// Takes over an open descriptor.
    init(owning descriptor: CInt) { self.descriptor = descriptor }

    package init(readingAt path: String) throws(SystemFailure) {
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw SystemFailure(call: "open", errno: errno) }
    }

    /// Memory without a name that can be mapped more than once (memfd_create(2)), in ordinary or huge pages.
    package init(sharedMemoryOf byteCount: Int, hugePages: Bool) throws(SystemFailure) {
        let descriptor = AnonymousFile.open(hugePages: hugePages)
        guard descriptor >= 0 else { throw SystemFailure(call: "memfd_create", errno: -descriptor) }
        self.descriptor = descriptor
        guard ftruncate(descriptor, byteCount) == 0 else {
            throw SystemFailure(call: "ftruncate", errno: errno)
        }
    }

    deinit { _ = close(descriptor) }

    /// The file's size in bytes now. Directories, devices and the like have none (`EISDIR`, `EINVAL`).
    package func size() throws(SystemFailure) -> Int {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw SystemFailure(call: "fstat", errno: errno) }
        let kind = status.st_mode & S_IFMT
        guard kind == S_IFREG else {
            throw SystemFailure(call: "fstat", errno: kind == S_IFDIR ? EISDIR : EINVAL)
        }
        return Int(status.st_size)
    }
}

package enum SystemPause {
    /// Gives way to other threads for some 50 microseconds.
    package static func brief() { _ = usleep(50) }
}
