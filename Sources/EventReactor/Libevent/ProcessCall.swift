import CLibevent
import Glibc

/// Descriptors of processes. The C library's headers may be older than the kernel's interface.
enum ProcessCall {
    /// A descriptor for the process with this number.
    static func open(_ number: Int32) throws(ReactorError) -> CInt {
        // Zero: a process that has no number here.
        guard number > 0 else { throw ReactorError(.noSuchProcess, "pidfd_open", systemError: ESRCH) }
        let descriptor = faultline_pidfd_open(number)
        if descriptor >= 0 { return descriptor }
        let failure = -descriptor
        throw ReactorError(failure == ESRCH ? .noSuchProcess : .system, "pidfd_open", systemError: failure)
    }

    /// A descriptor for the process that connected the other end of a socket (`SO_PEERPIDFD`, 6.5). Closed on exec.
    ///
    /// - Returns: nil where the kernel does not have it.
    static func peer(ofSocket socket: CInt) throws(ReactorError) -> CInt? {
        var descriptor: CInt = -1
        var size = socklen_t(4)
        if unsafe getsockopt(socket, SOL_SOCKET, 77, &descriptor, &size) == 0 { return descriptor }
        switch errno {
        case ENOPROTOOPT: return nil
        // Which of them it is for a process that has exited and was waited for, depends on the kernel.
        case ESRCH, EINVAL, ENODATA: throw ReactorError(.noSuchProcess, "getsockopt", systemError: ESRCH)
        case let other: throw ReactorError(.system, "getsockopt", systemError: other)
        }
    }
}
