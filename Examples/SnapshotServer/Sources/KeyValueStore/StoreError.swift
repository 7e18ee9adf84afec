/// Why an image is not taken, or a command not carried out.
public enum StoreError: Error, Hashable, CustomStringConvertible {
    /// It does not begin as an image does.
    case notAnImage
    /// It was written by another version of this program.
    case unknownVersion(UInt32)
    /// The image has not the length that it says.
    case wrongLength(expected: UInt64, actual: Int)
    /// The checksum of the header is not that of its bytes.
    case badChecksum
    /// Something in the header cannot be.
    case badHeader(String)
    /// What is in use of the image does not fit into the memory.
    case tooLarge(needed: Int, memory: Int)
    /// A block of the store is not what it should be.
    case damaged(offset: Int, String)
    /// There is no room.
    case outOfMemory
    /// A value would exceed the limit.
    case valueTooLong(limit: Int)

    /// A sentence that says what to do, where something can be done.
    public var description: String {
        switch self {
        case .notAnImage: "This is no image of a snapshot server: check the path."
        case .unknownVersion(let version):
            "The image is of version \(version), this program reads \(StoreHeader.version): use the program that wrote it."
        case .wrongLength(let expected, let actual):
            "The image should have \(expected) bytes and has \(actual): it was cut off or added to; restore a whole copy."
        case .badChecksum: "The header of the image is damaged (its checksum differs): restore another copy."
        case .badHeader(let what): "The header of the image makes no sense: \(what)."
        case .tooLarge(let needed, let memory):
            "The image uses \(needed) bytes, the memory has \(memory): start with more --memory."
        case .damaged(let offset, let what): "The store is damaged at offset \(offset): \(what)."
        case .outOfMemory: "There is no room: delete something, or restart with more --memory."
        case .valueTooLong(let limit): "A value can have \(limit) bytes at most."
        }
    }
}
