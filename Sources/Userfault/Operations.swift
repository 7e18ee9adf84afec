/// What may be called: on a descriptor after the handshake, and on a range after registering it.
///
/// The bit of an operation is the number of its ioctl.
public struct Operations: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_REGISTER`
    public static let register = Operations(rawValue: 1 << 0)
    /// `UFFDIO_UNREGISTER`
    public static let unregister = Operations(rawValue: 1 << 1)
    /// `UFFDIO_WAKE`
    public static let wake = Operations(rawValue: 1 << 2)
    /// `UFFDIO_COPY`
    public static let copy = Operations(rawValue: 1 << 3)
    /// `UFFDIO_ZEROPAGE`
    public static let zero = Operations(rawValue: 1 << 4)
    /// `UFFDIO_MOVE` (6.8). Reported for shared memory too, where it does not work: see
    /// ``usable(on:)``.
    public static let move = Operations(rawValue: 1 << 5)
    /// `UFFDIO_WRITEPROTECT` (5.7)
    public static let writeProtect = Operations(rawValue: 1 << 6)
    /// `UFFDIO_CONTINUE` (5.13)
    public static let mapExisting = Operations(rawValue: 1 << 7)
    /// `UFFDIO_POISON` (6.6)
    public static let poison = Operations(rawValue: 1 << 8)
    /// `UFFDIO_API`
    public static let handshake = Operations(rawValue: 1 << 63)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension Operations: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "register"),
            (bits: 1 << 1, name: "unregister"),
            (bits: 1 << 2, name: "wake"),
            (bits: 1 << 3, name: "copy"),
            (bits: 1 << 4, name: "zero"),
            (bits: 1 << 5, name: "move"),
            (bits: 1 << 6, name: "writeProtect"),
            (bits: 1 << 7, name: "mapExisting"),
            (bits: 1 << 8, name: "poison"),
            (bits: 1 << 63, name: "handshake"),
        ]
    }
}
