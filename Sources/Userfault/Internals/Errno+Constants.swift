#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

// Here because the numbers are C's, and differ between machines.
extension Errno {
    /// `EPERM`: the operation is not permitted.
    public static var notPermitted: Errno { Errno(rawValue: EPERM) }
    /// `ENOENT`: no such entry; here mostly: no registered memory there.
    public static var noEntry: Errno { Errno(rawValue: ENOENT) }
    /// `ESRCH`: the process is gone.
    public static var noProcess: Errno { Errno(rawValue: ESRCH) }
    /// `EINTR`: a signal interrupted the call.
    public static var interrupted: Errno { Errno(rawValue: EINTR) }
    /// `EIO`: an error of the hardware below.
    public static var inputOutput: Errno { Errno(rawValue: EIO) }
    /// `EBADF`: not an open descriptor.
    public static var badDescriptor: Errno { Errno(rawValue: EBADF) }
    /// `EAGAIN`: not now.
    public static var tryAgain: Errno { Errno(rawValue: EAGAIN) }
    /// `ENOMEM`: out of memory, or of map entries, or the process is gone.
    public static var noMemory: Errno { Errno(rawValue: ENOMEM) }
    /// `EACCES`: the permissions of a file forbid it.
    public static var accessDenied: Errno { Errno(rawValue: EACCES) }
    /// `EFAULT`: an address that cannot be read or written.
    public static var badAddress: Errno { Errno(rawValue: EFAULT) }
    /// `EBUSY`: in use by another.
    public static var busy: Errno { Errno(rawValue: EBUSY) }
    /// `EEXIST`: something is there already.
    public static var exists: Errno { Errno(rawValue: EEXIST) }
    /// `ENODEV`: no such device.
    public static var noDevice: Errno { Errno(rawValue: ENODEV) }
    /// `EINVAL`: an argument the kernel does not accept.
    public static var invalidArgument: Errno { Errno(rawValue: EINVAL) }
    /// `ENFILE`: the system's limit on open files is reached.
    public static var tooManyFilesInSystem: Errno { Errno(rawValue: ENFILE) }
    /// `EMFILE`: the process's limit on open descriptors is reached.
    public static var tooManyFiles: Errno { Errno(rawValue: EMFILE) }
    /// `ENOTTY`: the descriptor does not know this ioctl.
    public static var notATerminal: Errno { Errno(rawValue: ENOTTY) }
    /// `ENOSPC`: no space left.
    public static var noSpace: Errno { Errno(rawValue: ENOSPC) }
    /// `EFBIG`: longer than a file may be.
    public static var fileTooLarge: Errno { Errno(rawValue: EFBIG) }
    /// `EDQUOT`: the user's share of the disk is used up.
    public static var quotaExceeded: Errno { Errno(rawValue: EDQUOT) }
    /// `EROFS`: a file system for reading only.
    public static var readOnlyFileSystem: Errno { Errno(rawValue: EROFS) }
    /// `EOPNOTSUPP`: not here.
    public static var notSupported: Errno { Errno(rawValue: EOPNOTSUPP) }
    /// `ENOSYS`: the kernel does not have this call.
    public static var noSystemCall: Errno { Errno(rawValue: ENOSYS) }
}
