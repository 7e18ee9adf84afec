/// Which accesses of a registered range are trapped: the `UFFDIO_REGISTER_MODE_*` bits, in any
/// non-empty combination.
///
/// Registering a range again with a subset of its modes changes nothing, and with others replaces
/// them: unregister before changing.
public struct RegistrationModes: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// The bits as the kernel knows them, those without a name here included.
    public let rawValue: UInt64

    /// Takes the bits as they are.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// `UFFDIO_REGISTER_MODE_MISSING`: accesses of pages that are not there.
    public static let missing = RegistrationModes(rawValue: 1 << 0)
    /// `UFFDIO_REGISTER_MODE_WP` (5.7): writes to pages that are write-protected.
    public static let writeProtect = RegistrationModes(rawValue: 1 << 1)
    /// `UFFDIO_REGISTER_MODE_MINOR` (5.13): accesses of pages that are in the page cache but not
    /// mapped here. Shared memory and hugetlbfs only.
    public static let minor = RegistrationModes(rawValue: 1 << 2)

    /// The names of the members, and bits without a name in hexadecimal.
    public var description: String { list }
}

extension RegistrationModes: NamedBits {
    static var names: [(bits: UInt64, name: String)] {
        [
            (bits: 1 << 0, name: "missing"),
            (bits: 1 << 1, name: "writeProtect"),
            (bits: 1 << 2, name: "minor"),
        ]
    }
}
