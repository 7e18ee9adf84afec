/// Options of ``Userfaultfd/writeProtect(_:options:)``: the `UFFDIO_WRITEPROTECT_MODE_*` bits.
///
/// The empty set lifts the protection and wakes those who wait for that.
public struct WriteProtectOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_WRITEPROTECT_MODE_WP`: protect. Wakes nobody; cannot be combined with ``dontWake``.
    public static let protect = WriteProtectOptions(rawValue: 1 << 0)
    /// `UFFDIO_WRITEPROTECT_MODE_DONTWAKE`: lift the protection, leave the waiting threads asleep.
    public static let dontWake = WriteProtectOptions(rawValue: 1 << 1)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension WriteProtectOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "protect"),
            (bits: 1 << 1, name: "dontWake"),
        ]
    }
}

/// Options of ``Userfaultfd/mapExisting(_:options:)``: the `UFFDIO_CONTINUE_MODE_*` bits.
public struct ContinueOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_CONTINUE_MODE_DONTWAKE`: leave the waiting threads asleep; a later wake lets them
    /// go.
    public static let dontWake = ContinueOptions(rawValue: 1 << 0)
    /// `UFFDIO_CONTINUE_MODE_WP` (6.4): the pages are mapped write-protected. Needs
    /// ``RegistrationModes/writeProtect``.
    public static let writeProtected = ContinueOptions(rawValue: 1 << 1)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension ContinueOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "dontWake"),
            (bits: 1 << 1, name: "writeProtected"),
        ]
    }
}

/// Options of ``Userfaultfd/move(from:to:options:)``: the `UFFDIO_MOVE_MODE_*` bits.
public struct MoveOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_MOVE_MODE_DONTWAKE`: leave the waiting threads asleep; a later wake lets them go.
    public static let dontWake = MoveOptions(rawValue: 1 << 0)
    /// `UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES`: a hole in the source counts as moved. The destination
    /// stays missing there and its waiters are woken, so that they fault again.
    public static let allowSourceHoles = MoveOptions(rawValue: 1 << 1)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension MoveOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "dontWake"),
            (bits: 1 << 1, name: "allowSourceHoles"),
        ]
    }
}
