/// An image made of records: two numbers that say what it is, then records of a length and a message each.
public struct ImageFile: Sendable {
    /// What an image is about.
    public enum Kind: UInt32, Hashable, Sendable {
        /// `pstree.img`: the processes.
        case processTree = 0x5027_3030
        /// `mm-PID.img`: the mappings of a process.
        case memoryMap = 0x5749_2820
        /// `pagemap-PID.img`: where the contents of its pages are.
        case pageMap = 0x5608_4025
    }

    /// With what every image begins.
    public static let commonMagic: UInt32 = 0x5456_4319

    /// All of it.
    public let bytes: [UInt8]
    /// Where each record's message lies.
    public let records: [Range<Int>]

    /// Finds the records of an image. Looks at the lengths only.
    ///
    /// - Parameters:
    ///   - bytes: the whole image.
    ///   - kind: what it must be about.
    /// - Throws: ``ImageError``: it is of another kind, or ends in the middle of something.
    public init(_ bytes: [UInt8], _ kind: Kind) throws(ImageError) {
        guard bytes.count >= 8 else {
            throw ImageError(.truncated, "the image has \(bytes.count) bytes, which is no beginning", at: 0)
        }
        let magic = bytes.integer(at: 0, byteCount: 4)
        guard magic == UInt64(Self.commonMagic) else {
            throw ImageError(.wrongKind, "\(hex(magic)) is not what an image begins with", at: 0)
        }
        let found = bytes.integer(at: 4, byteCount: 4)
        guard found == UInt64(kind.rawValue) else {
            throw ImageError(
                .wrongKind, "the image is of the kind \(hex(found)) and not \(hex(UInt64(kind.rawValue)))",
                at: 4)
        }
        var records: [Range<Int>] = []
        var position = 8
        while position < bytes.count {
            guard bytes.count - position >= 4 else {
                throw ImageError(.truncated, "the image ends within the length of a record", at: position)
            }
            let count = Int(bytes.integer(at: position, byteCount: 4))
            guard count <= bytes.count - position - 4 else {
                throw ImageError(
                    .truncated,
                    "a record of \(count) bytes is cut off after \(bytes.count - position - 4)", at: position)
            }
            records.append(position + 4..<position + 4 + count)
            position += 4 + count
        }
        self.bytes = bytes
        self.records = records
    }

    /// A reader of the message of a record.
    func reader(_ record: Range<Int>) -> ProtobufReader { ProtobufReader(bytes, record) }
}

func hex(_ number: UInt64) -> String { "0x" + String(number, radix: 16) }
