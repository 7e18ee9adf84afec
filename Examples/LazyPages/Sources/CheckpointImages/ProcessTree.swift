/// The processes of a checkpoint: `pstree.img`.
public struct ProcessTree: Hashable, Sendable {
    /// Their numbers when they were dumped, in the order of the image.
    public var processIDs: [Int32] = []

    /// Reads the image.
    ///
    /// - Throws: ``ImageError``: no such image, or a process without a number, or with the number of another.
    public init(decoding bytes: [UInt8]) throws(ImageError) {
        let image = try ImageFile(bytes, .processTree)
        var seen: Set<Int32> = []
        for record in image.records {
            var fields = image.reader(record)
            var processID: Int32?
            while let field = try fields.next() {
                guard field.number == 1 else { continue }
                let number = try field.integer32()
                guard number > 0, let positive = Int32(exactly: number) else {
                    throw ImageError(.outOfRange, "\(number) is no number of a process", at: field.offset)
                }
                processID = positive
            }
            guard let processID else {
                throw ImageError(.malformed, "a process has no number", at: record.lowerBound)
            }
            guard seen.insert(processID).inserted else {
                throw ImageError(
                    .malformed, "there are two processes \(processID)", at: record.lowerBound)
            }
            processIDs.append(processID)
        }
        guard !processIDs.isEmpty else {
            throw ImageError(.malformed, "there is no process in it", at: bytes.count)
        }
    }
}
