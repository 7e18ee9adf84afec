/// Why a call did not do what was asked.
///
/// A small value without references: making, throwing and storing one allocates nothing. The
/// sentence it prints, with advice on what to do, is put together when asked for.
public struct UserfaultfdError: Error, Hashable, Sendable {
    /// What was asked of the kernel.
    public var operation: Operation

    /// What the kernel said. Where every way of opening was refused: what the last one said.
    public var errno: Errno

    /// The addresses it was about, where it was about any.
    public var range: AddressRange?

    /// The bytes that were done before the error; 0 unless the operation works through a range.
    public var bytesDone: Int

    /// What each way of opening said, when ``operation`` is ``Operation/open``.
    public var refusals: Refusals

    /// The required features that the kernel lacks, when that is what is wrong.
    public var missingFeatures: Features

    /// Puts an error together. The module makes its own; this is for those who stand in for the
    /// kernel in tests.
    public init(
        operation: Operation, errno: Errno, range: AddressRange? = nil, bytesDone: Int = 0,
        refusals: Refusals = Refusals(), missingFeatures: Features = []
    ) {
        self.operation = operation
        self.errno = errno
        self.range = range
        self.bytesDone = bytesDone
        self.refusals = refusals
        self.missingFeatures = missingFeatures
    }
}

extension UserfaultfdError {
    /// What a ``UserfaultfdError`` is about. Open-ended: compare with the constants.
    public struct Operation: RawRepresentable, Hashable, Sendable {
        /// A number without a meaning outside this module.
        public let rawValue: UInt8

        /// Takes a number as it is.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Getting a descriptor: `/dev/userfaultfd` or userfaultfd(2).
        public static let open = Operation(rawValue: 0)
        /// `UFFDIO_API`
        public static let handshake = Operation(rawValue: 1)
        /// Taking over a descriptor that someone else opened: fcntl(2).
        public static let adopt = Operation(rawValue: 2)
        /// `UFFDIO_REGISTER`
        public static let register = Operation(rawValue: 3)
        /// `UFFDIO_UNREGISTER`
        public static let unregister = Operation(rawValue: 4)
        /// `UFFDIO_WAKE`
        public static let wake = Operation(rawValue: 5)
        /// `UFFDIO_COPY`
        public static let copy = Operation(rawValue: 6)
        /// `UFFDIO_ZEROPAGE`
        public static let zero = Operation(rawValue: 7)
        /// `UFFDIO_POISON`
        public static let poison = Operation(rawValue: 8)
        /// `UFFDIO_WRITEPROTECT`
        public static let writeProtect = Operation(rawValue: 9)
        /// `UFFDIO_CONTINUE`
        public static let mapExisting = Operation(rawValue: 10)
        /// `UFFDIO_MOVE`
        public static let move = Operation(rawValue: 11)
        /// read(2) of messages.
        public static let read = Operation(rawValue: 12)
        /// Reading `/proc/self/fdinfo`.
        public static let status = Operation(rawValue: 13)
        /// Opening `/proc/PID/pagemap`.
        public static let openPagemap = Operation(rawValue: 14)
        /// `PAGEMAP_SCAN`
        public static let scan = Operation(rawValue: 15)
        /// Reading an entry of `/proc/PID/pagemap`.
        public static let readPagemap = Operation(rawValue: 16)
        /// Starting the thread that reads messages: eventfd(2), mmap(2), pthread_create(3).
        public static let relay = Operation(rawValue: 17)
    }
}
