import CBaseline
import Glibc

/// Which way to a userfaultfd is open to this process.
enum UserfaultAccess {
    case deviceNode
    case systemCall
    case userModeOnly
    case refused(errorNumber: CInt)

    static func probe() -> UserfaultAccess {
        var access: CInt = 0
        let descriptor = unsafe bench_uffd_open(1, &access)
        guard descriptor >= 0 else { return .refused(errorNumber: -descriptor) }
        close(descriptor)
        return switch Int(access) {
        case BENCH_ACCESS_DEVICE: .deviceNode
        case BENCH_ACCESS_SYSTEM_CALL: .systemCall
        default: .userModeOnly
        }
    }

    var isOpen: Bool {
        if case .refused = self { false } else { true }
    }

    var description: String {
        switch self {
        case .deviceNode: "/dev/userfaultfd"
        case .systemCall: "system call"
        case .userModeOnly: "system call, user-mode faults only"
        case .refused(let number): "refused: \(System.describe(number))"
        }
    }

    /// What someone without permission can do.
    static func advice(errorNumber: CInt) -> String {
        """
        No permission to use userfaultfd (\(System.describe(errorNumber))). Run as root, or give access to the device \
        (setfacl -m u:$USER:r /dev/userfaultfd), or set the sysctl vm.unprivileged_userfaultfd to 1; in a container, \
        allow the userfaultfd system call in its seccomp profile.
        """
    }
}
