/// Where the contents of a process's pages are: `pagemap-PID.img`.
public struct PageMap: Hashable, Sendable {
    /// A run of pages of which the same is true.
    public struct Run: Hashable, Sendable {
        /// The first address.
        public var start: UInt64
        /// How many pages there are.
        public var pageCount: UInt64
        /// The pages are left out when the process is restored, and come later.
        public var isLazy: Bool
        /// Where they begin in the image with the pages, in bytes; nil where they are not in it.
        public var offset: UInt64?
        /// They are in the image that this one builds on.
        public var isInParent: Bool
    }

    /// The number of the image with the pages.
    public var pagesID: UInt32
    /// The runs, in ascending order.
    public var runs: [Run] = []
    /// How long the image with the pages must be, at least.
    public var pagesByteCount: UInt64 = 0

    /// Reads the image.
    ///
    /// - Parameters:
    ///   - bytes: the whole image.
    ///   - pageSize: the system's.
    /// - Throws: ``ImageError``: no such image, or runs that cannot be, or overlap.
    public init(decoding bytes: [UInt8], pageSize: UInt64 = 4096) throws(ImageError) {
        let image = try ImageFile(bytes, .pageMap)
        guard let head = image.records.first else {
            throw ImageError(.truncated, "it does not say which image has the pages", at: 8)
        }
        var fields = image.reader(head)
        var pagesID: UInt32?
        while pagesID == nil, let field = try fields.next() {
            if field.number == 1 { pagesID = try field.integer32() }
        }
        guard let pagesID else {
            throw ImageError(.malformed, "it does not say which image has the pages", at: head.lowerBound)
        }
        self.pagesID = pagesID
        var next: UInt64 = 0
        for record in image.records.dropFirst() {
            var run = try Self.run(image.reader(record), pageSize, at: record.lowerBound)
            guard run.start >= next else {
                throw ImageError(
                    .malformed, "the pages at \(hex(run.start)) are not behind those before them",
                    at: record.lowerBound)
            }
            next = run.start + run.pageCount * pageSize
            if run.offset != nil {
                // Neither is more than the addresses that there are, and they do not overlap: no overflow.
                run.offset = pagesByteCount
                pagesByteCount += run.pageCount * pageSize
            }
            runs.append(run)
        }
    }

    private static func run(
        _ reader: ProtobufReader, _ pageSize: UInt64, at offset: Int
    ) throws(ImageError) -> Run {
        var fields = reader
        var (start, short, long, flags) = (UInt64?.none, UInt64?.none, UInt64?.none, UInt32?.none)
        var isInParent = false
        while let field = try fields.next() {
            switch field.number {
            case 1: start = try field.integer()
            case 2: short = UInt64(try field.integer32())
            case 3: isInParent = try field.integer() != 0
            case 4: flags = try field.integer32()
            // 4.0 and later; the former field is 0 then.
            case 5: long = try field.integer()
            default: continue
            }
        }
        guard let start, let count = long ?? short else {
            throw ImageError(.malformed, "a run of pages lacks its address or length", at: offset)
        }
        guard start % pageSize == 0, start < MemoryMap.addressLimit, count > 0,
            count <= (MemoryMap.addressLimit - start) / pageSize
        else {
            throw ImageError(.outOfRange, "there cannot be \(count) pages at \(hex(start))", at: offset)
        }
        // Before there were flags, what was not in the parent was here.
        let isPresent = flags.map { $0 & 4 != 0 } ?? !isInParent
        return Run(
            start: start, pageCount: count, isLazy: (flags ?? 0) & 2 != 0, offset: isPresent ? 0 : nil,
            isInParent: isInParent || (flags ?? 0) & 1 != 0)
    }
}
