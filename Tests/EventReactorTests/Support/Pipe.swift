import EventReactor
import Glibc
import Synchronization

/// A non-blocking pipe that closes both ends at the end.
final class Pipe: Sendable {
    let readEnd: CInt
    let writeEnd: CInt

    init() {
        var ends: [CInt] = [-1, -1]
        let status = unsafe pipe(&ends)
        precondition(status == 0, "pipe")
        readEnd = ends[0]
        writeEnd = ends[1]
        for end in ends {
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
        }
    }

    deinit {
        close(readEnd)
        close(writeEnd)
    }

    /// Writes `count` bytes, or as many as fit.
    @discardableResult
    func write(_ count: Int = 1) -> Int {
        let bytes = [UInt8](repeating: 7, count: count)
        return unsafe Glibc.write(writeEnd, bytes, count)
    }

    /// Reads up to `count` bytes; -1 if there are none.
    @discardableResult
    func read(_ count: Int = 1) -> Int {
        var bytes = [UInt8](repeating: 0, count: count)
        return unsafe Glibc.read(readEnd, &bytes, count)
    }
}
