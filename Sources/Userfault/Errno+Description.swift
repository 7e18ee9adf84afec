extension Errno: CustomStringConvertible {
    /// The C name and what it says: `EEXIST (File exists)`. Numbers that no call of this module
    /// gives are printed bare.
    public var description: String {
        guard let (name, text) = names else { return "errno \(rawValue)" }
        return "\(name) (\(text))"
    }

    // A table of our own, not strerror(3): that one depends on the locale and is not safe in every
    // C library.
    private var names: (name: String, text: String)? {
        switch self {
        case .notPermitted: ("EPERM", "Operation not permitted")
        case .noEntry: ("ENOENT", "No such file or directory")
        case .noProcess: ("ESRCH", "No such process")
        case .interrupted: ("EINTR", "Interrupted system call")
        case .inputOutput: ("EIO", "Input/output error")
        case .badDescriptor: ("EBADF", "Bad file descriptor")
        case .tryAgain: ("EAGAIN", "Resource temporarily unavailable")
        case .noMemory: ("ENOMEM", "Cannot allocate memory")
        case .accessDenied: ("EACCES", "Permission denied")
        case .badAddress: ("EFAULT", "Bad address")
        case .busy: ("EBUSY", "Device or resource busy")
        case .exists: ("EEXIST", "File exists")
        case .noDevice: ("ENODEV", "No such device")
        case .invalidArgument: ("EINVAL", "Invalid argument")
        case .tooManyFilesInSystem: ("ENFILE", "Too many open files in system")
        case .tooManyFiles: ("EMFILE", "Too many open files")
        case .notATerminal: ("ENOTTY", "Inappropriate ioctl for device")
        case .noSpace: ("ENOSPC", "No space left on device")
        case .fileTooLarge: ("EFBIG", "File too large")
        case .quotaExceeded: ("EDQUOT", "Disk quota exceeded")
        case .readOnlyFileSystem: ("EROFS", "Read-only file system")
        case .notSupported: ("EOPNOTSUPP", "Operation not supported")
        case .noSystemCall: ("ENOSYS", "Function not implemented")
        default: nil
        }
    }
}
