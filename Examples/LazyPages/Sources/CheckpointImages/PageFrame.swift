/// What a page server and its client send each other: 32 bytes, before the pages of an answer.
public struct PageFrame: Hashable, Sendable {
    /// What it is about.
    public struct Command: Hashable, Sendable {
        /// The number on the wire; the flags of pages are in its upper half.
        public var rawValue: UInt32

        /// Takes the number as it is.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// Pages are asked for.
        public static let get = Command(rawValue: 7)
        /// Pages that are there follow.
        public static let pages = Command(rawValue: 6 | 4 << 16)
        /// Nothing more is asked for; a status is the answer.
        public static let close = Command(rawValue: 0x1023)
        /// The same, and the server is to end.
        public static let forceClose = Command(rawValue: 0x1024)
    }

    /// The number of bytes.
    public static let byteCount = 32

    /// What it is about.
    public var command: Command
    /// How many pages.
    public var pageCount: UInt64
    /// The first one's address in the process that was dumped.
    public var address: UInt64
    /// That process.
    public var processID: UInt64

    /// A frame. The parameters are the properties of the same names.
    public init(_ command: Command, pageCount: UInt64 = 0, address: UInt64 = 0, processID: UInt64 = 0) {
        self.command = command
        self.pageCount = pageCount
        self.address = address
        self.processID = processID
    }

    /// Reads a frame; nil unless there are 32 bytes.
    public init?(decoding bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        command = Command(rawValue: UInt32(bytes.integer(at: 0, byteCount: 4)))
        pageCount = bytes.integer(at: 8, byteCount: 8)
        address = bytes.integer(at: 16, byteCount: 8)
        processID = bytes.integer(at: 24, byteCount: 8)
    }

    /// The bytes of the frame.
    public var encoded: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        func put(_ number: UInt64, at offset: Int, _ count: Int) {
            for index in 0..<count {
                bytes[offset + index] = UInt8(truncatingIfNeeded: number >> UInt64(8 * index))
            }
        }
        put(UInt64(command.rawValue), at: 0, 4)
        put(pageCount, at: 8, 8)
        put(address, at: 16, 8)
        put(processID, at: 24, 8)
        return bytes
    }

    /// What is wrong with an answer to `request`; nil if nothing is. It may have fewer pages than were asked for, but not none.
    public func problem(asAnswerTo request: PageFrame) -> String? {
        guard command == .pages else { return "the answer has the command \(hex(UInt64(command.rawValue)))" }
        guard pageCount >= 1, pageCount <= request.pageCount else {
            return "the answer has \(pageCount) pages, \(request.pageCount) were asked for"
        }
        guard address == request.address, processID == request.processID else {
            return """
                the answer is about \(hex(address)) of process \(processID), asked for was \(hex(request.address)) \
                of \(request.processID)
                """
        }
        return nil
    }
}
