/// Options of ``Userfaultfd/copy(from:to:options:)``: the `UFFDIO_COPY_MODE_*` bits.
public struct CopyOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_COPY_MODE_DONTWAKE`: leave the waiting threads asleep; a later wake lets them go.
    public static let dontWake = CopyOptions(rawValue: 1 << 0)
    /// `UFFDIO_COPY_MODE_WP` (5.7): the new pages are write-protected. Needs
    /// ``RegistrationModes/writeProtect``.
    public static let writeProtected = CopyOptions(rawValue: 1 << 1)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension CopyOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "dontWake"),
            (bits: 1 << 1, name: "writeProtected"),
        ]
    }
}

/// Options of ``Userfaultfd/zero(_:options:)``: the `UFFDIO_ZEROPAGE_MODE_*` bits.
public struct ZeroOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_ZEROPAGE_MODE_DONTWAKE`: leave the waiting threads asleep; a later wake lets them
    /// go.
    public static let dontWake = ZeroOptions(rawValue: 1 << 0)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension ZeroOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "dontWake")
        ]
    }
}

/// Options of ``Userfaultfd/poison(_:options:)``: the `UFFDIO_POISON_MODE_*` bits.
public struct PoisonOptions: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_POISON_MODE_DONTWAKE`: leave the waiting threads asleep; a later wake lets them go.
    public static let dontWake = PoisonOptions(rawValue: 1 << 0)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension PoisonOptions: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "dontWake")
        ]
    }
}
