/// Why a description of memory is none, or more than is allowed.
public struct MemoryDescriptionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What is wrong. More may come.
    public struct Reason: Hashable, Sendable, CustomStringConvertible {
        enum Value: Hashable, Sendable {
            case notADescription, unknownVersion, reservedBits, wrongLength, noAreas, tooManyAreas,
                tooManyBytes
            case emptyArea, badPageSize, misaligned, badAddress, badOffset, unknownMemory, overlap
        }
        let value: Value

        /// The bytes do not begin as a description does.
        public static let notADescription = Reason(value: .notADescription)
        /// A later version of the format.
        public static let unknownVersion = Reason(value: .unknownVersion)
        /// Bits that must be zero are not.
        public static let reservedBits = Reason(value: .reservedBits)
        /// There are more or fewer bytes than the areas take.
        public static let wrongLength = Reason(value: .wrongLength)
        /// There is no area.
        public static let noAreas = Reason(value: .noAreas)
        /// There are more areas than allowed.
        public static let tooManyAreas = Reason(value: .tooManyAreas)
        /// The areas have more bytes than allowed.
        public static let tooManyBytes = Reason(value: .tooManyBytes)
        /// An area has no bytes, or more than can be.
        public static let emptyArea = Reason(value: .emptyArea)
        /// A page size is no power of two, or none of this system's, or huge where the memory is not.
        public static let badPageSize = Reason(value: .badPageSize)
        /// An area does not begin and end at multiples of its page size.
        public static let misaligned = Reason(value: .misaligned)
        /// An area begins with the first page of all, or reaches past the last address that a process has.
        public static let badAddress = Reason(value: .badAddress)
        /// An area's place in the store is negative or reaches too far.
        public static let badOffset = Reason(value: .badOffset)
        /// A kind of memory that is not known here.
        public static let unknownMemory = Reason(value: .unknownMemory)
        /// Two areas overlap.
        public static let overlap = Reason(value: .overlap)

        /// The name of the reason.
        public var description: String { "\(value)" }
    }

    /// What is wrong.
    public let reason: Reason
    /// The area in question, counted from 0; nil where it is none in particular.
    public let area: Int?

    init(_ reason: Reason, area: Int? = nil) {
        self.reason = reason
        self.area = area
    }

    /// A sentence.
    public var description: String {
        let text =
            switch reason.value {
            case .notADescription: "these bytes are not a description of memory"
            case .unknownVersion:
                "this version of the description's format is not known here; use the same release"
            case .reservedBits: "bits that must be zero are not"
            case .wrongLength: "the description is longer or shorter than its areas"
            case .noAreas: "at least one area of memory has to be described"
            case .tooManyAreas: "more areas are described than allowed; raise the limit or merge areas"
            case .tooManyBytes: "more memory is described than allowed; raise the limit"
            case .emptyArea: "an area has to have at least one page, and less than half of all addresses"
            case .badPageSize: "pages have to be the system's, or huge ones of huge-page memory"
            case .misaligned: "an area has to begin and end at multiples of its page size"
            case .badAddress: "no process can have memory at these addresses"
            case .badOffset: "the area's place in the store is negative, or too far"
            case .unknownMemory: "this kind of memory is not known here"
            case .overlap: "the area overlaps another one"
            }
        return area.map { "area \($0): \(text)" } ?? text
    }
}
