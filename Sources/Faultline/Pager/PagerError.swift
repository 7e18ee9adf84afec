public import Userfault

/// What went wrong in the pager, and what to do about it.
public struct PagerError: Error, Sendable, CustomStringConvertible {
    /// The kinds of error. More may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        enum Value: Hashable, Sendable {
            case kernel, system, shutDown, invalidRange, overlap, unsupportedMemory, sourceIsRegistered
            case badResolution, requestIsOver, reactor, handlerFailed, unsupportedOperation, tooManyRegions
            case processExited, busy, cancelled, unreadable, targetFailed, invalidBudget, notWritten,
                badLayout
        }
        let value: Value

        /// An ioctl was refused: ``PagerError/kernelError`` says why.
        public static let kernel = Code(value: .kernel)
        /// Another system call failed: ``PagerError/systemFailure`` says which.
        public static let system = Code(value: .system)
        /// The pager or its reactor has been shut down.
        public static let shutDown = Code(value: .shutDown)
        /// The range is empty, too long, or not aligned to pages.
        public static let invalidRange = Code(value: .invalidRange)
        /// The range overlaps one that is registered on this reactor.
        public static let overlap = Code(value: .overlap)
        /// The kernel does not offer the operations the pager needs for this memory.
        public static let unsupportedMemory = Code(value: .unsupportedMemory)
        /// The bytes to copy lie in a registered range of the same reactor, which would wait for itself.
        public static let sourceIsRegistered = Code(value: .sourceIsRegistered)
        /// A resolution is not aligned, lies outside of its request, or is too short for it.
        public static let badResolution = Code(value: .badResolution)
        /// A resolution, or a call, needs an operation that the kernel does not offer for the region.
        public static let unsupportedOperation = Code(value: .unsupportedOperation)
        /// The process has as many regions as can be resolved in-thread: 4096.
        public static let tooManyRegions = Code(value: .tooManyRegions)
        /// A part of an answer came when its request was over.
        public static let requestIsOver = Code(value: .requestIsOver)
        /// A handler threw, and its region's policy was to stop.
        public static let handlerFailed = Code(value: .handlerFailed)
        /// The process whose memory it was has exited, or has given its memory up (execve(2)).
        public static let processExited = Code(value: .processExited)
        /// A memory budget is too small, its watermarks are not in order, or it is in use by another pager.
        public static let invalidBudget = Code(value: .invalidBudget)
        /// What was written to a region is not in its store, or not durable there: ``PagerError/ranges`` says what,
        /// ``PagerError/underlyingError`` why.
        public static let notWritten = Code(value: .notWritten)
        /// A region cannot be divided like that (``StripeLayout``).
        public static let badLayout = Code(value: .badLayout)
        /// The reactor refused.
        public static let reactor = Code(value: .reactor)

        /// The region is being tracked, or a snapshot of it is being taken, already.
        public static let busy = Code(value: .busy)
        /// The task was cancelled.
        public static let cancelled = Code(value: .cancelled)
        /// A page cannot be read: it is poisoned, or its memory is gone.
        public static let unreadable = Code(value: .unreadable)
        /// The target of a snapshot threw: ``PagerError/underlyingError`` says what.
        public static let targetFailed = Code(value: .targetFailed)

        /// The name of the code.
        public var description: String { "\(value)" }
    }

    /// The kind of error.
    public let code: Code
    /// The range in question, where there is one.
    public let range: AddressRange?
    /// The kernel's refusal, for ``Code/kernel``.
    public private(set) var kernelError: UserfaultfdError?
    /// The failed system call, for ``Code/system``.
    public private(set) var systemFailure: SystemFailure?
    /// The ranges in question, for ``Code/notWritten``.
    public private(set) var ranges: [AddressRange] = []
    /// What the code of others threw, where that was the reason.
    public private(set) var underlyingError: (any Error)?
    private let detail: String

    init(_ code: Code, _ detail: String, range: AddressRange? = nil) {
        self.code = code
        self.detail = detail
        self.range = range
    }

    init(_ error: UserfaultfdError) {
        self.init(.kernel, error.description, range: error.range)
        kernelError = error
    }

    init(_ failure: SystemFailure) {
        self.init(.system, failure.description)
        systemFailure = failure
    }

    static func wrongProcess(_ what: String, _ range: AddressRange?) -> PagerError {
        PagerError(.unsupportedOperation, "memory of the pager's process cannot be \(what)", range: range)
    }

    static func notOfThisPager(_ range: AddressRange?) -> PagerError {
        PagerError(
            .invalidRange,
            "the region is not one of this pager, has been unmapped before, or nothing is left of it",
            range: range)
    }

    static func targetFailed(_ error: any Error) -> PagerError {
        var failure = PagerError(.targetFailed, "the target of the snapshot failed: \(error)")
        failure.underlyingError = error
        return failure
    }

    static func cancelled() -> PagerError { PagerError(.cancelled, "the task was cancelled") }

    static func notWritten(_ ranges: [AddressRange], _ reason: (any Error)?) -> PagerError {
        let bytes = ranges.reduce(0) { $0 + $1.byteCount }
        let why = reason.map { ": \($0)" } ?? " in the time that there was"
        var error = PagerError(
            .notWritten, "\(bytes) bytes that were written to the region are not durable in its store\(why)",
            range: ranges.first)
        error.ranges = ranges
        error.underlyingError = reason
        return error
    }

    static func shutDown() -> PagerError {
        PagerError(.shutDown, "the pager has been shut down; make a new one")
    }

    /// A sentence that says what happened and what to do.
    public var description: String {
        range.map { "\(detail) (\($0))" } ?? detail
    }
}
