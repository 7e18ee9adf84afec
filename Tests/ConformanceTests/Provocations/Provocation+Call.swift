import Userfault

extension Provocation {
    /// What is called, and how many rows the list has of it.
    enum Call: String, CaseIterable, Sendable {
        case systemCall = "userfaultfd(2)"
        case device = "/dev/userfaultfd"
        case anyIoctl = "any ioctl"
        case handshake = "UFFDIO_API"
        case register = "UFFDIO_REGISTER"
        case unregister = "UFFDIO_UNREGISTER"
        case wake = "UFFDIO_WAKE"
        case copy = "UFFDIO_COPY"
        case zero = "UFFDIO_ZEROPAGE"
        case writeProtect = "UFFDIO_WRITEPROTECT"
        case mapExisting = "UFFDIO_CONTINUE"
        case poison = "UFFDIO_POISON"
        case move = "UFFDIO_MOVE"
        case access = "access"
        case read = "read(2)"
        case poll = "poll(2)"
        case write = "write(2)"

        var listedRows: Int {
            switch self {
            case .systemCall: 5
            case .device: 4
            case .anyIoctl: 3
            case .handshake: 8
            case .register: 33
            case .unregister: 12
            case .wake: 10
            case .copy: 39
            case .zero: 16
            case .writeProtect: 18
            case .mapExisting: 20
            case .poison: 17
            case .move: 33
            case .access: 7
            case .read: 6
            case .poll: 2
            case .write: 1
            }
        }

        /// What the module's errors call it.
        var operation: UserfaultfdError.Operation? {
            switch self {
            case .systemCall, .device: .open
            case .handshake: .handshake
            case .register, .anyIoctl: .register
            case .unregister: .unregister
            case .wake: .wake
            case .copy: .copy
            case .zero: .zero
            case .writeProtect: .writeProtect
            case .mapExisting: .mapExisting
            case .poison: .poison
            case .move: .move
            case .read: .read
            case .access, .poll, .write: nil
            }
        }
    }
}

/// An ioctl of a userfaultfd as the kernel numbers it, and its argument's size.
struct Ioctl: Sendable {
    let number: CInt
    let byteCount: CInt

    static let handshake = Ioctl(number: 0x3F, byteCount: 24)
    static let register = Ioctl(number: 0, byteCount: 32)
    static let unregister = Ioctl(number: 1, byteCount: 16)
    static let wake = Ioctl(number: 2, byteCount: 16)
    static let copy = Ioctl(number: 3, byteCount: 40)
    static let zero = Ioctl(number: 4, byteCount: 32)
    static let move = Ioctl(number: 5, byteCount: 40)
    static let writeProtect = Ioctl(number: 6, byteCount: 24)
    static let mapExisting = Ioctl(number: 7, byteCount: 32)
    static let poison = Ioctl(number: 8, byteCount: 32)
}
