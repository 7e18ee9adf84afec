internal import Userfault

/// What went wrong in a store, and what to do about it.
public struct StoreError: Error, Sendable, CustomStringConvertible {
    /// The kinds of error. More may come.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        enum Value: Hashable, Sendable {
            case noSpace, inputOutput, readOnly, outOfRange, truncated, unsupported, cancelled, system
        }
        let value: Value

        /// There is no room left for what was to be written (`ENOSPC`, `EDQUOT`, `EFBIG`).
        public static let noSpace = Code(value: .noSpace)
        /// The medium failed (`EIO`).
        public static let inputOutput = Code(value: .inputOutput)
        /// The store was opened for reading only.
        public static let readOnly = Code(value: .readOnly)
        /// The bytes lie outside of the store.
        public static let outOfRange = Code(value: .outOfRange)
        /// Bytes that belong to the store are not there any more: somebody has made its file shorter.
        public static let truncated = Code(value: .truncated)
        /// The file, or its file system, cannot do what the options ask for.
        public static let unsupported = Code(value: .unsupported)
        /// The task was cancelled before the work was begun, or finished.
        public static let cancelled = Code(value: .cancelled)
        /// Another system call failed: ``StoreError/systemFailure`` says which.
        public static let system = Code(value: .system)

        /// The name of the code.
        public var description: String { "\(value)" }
    }

    /// The kind of error.
    public let code: Code
    /// The bytes of the store in question, where there are any.
    public let range: Range<Int>?
    /// The failed system call, where there was one.
    public let systemFailure: SystemFailure?
    private let detail: String

    /// An error of a store of your own. Any thread.
    ///
    /// - Parameters:
    ///   - code: the kind of error.
    ///   - detail: a sentence that says what happened and what to do.
    ///   - range: the bytes of the store in question.
    public init(_ code: Code, _ detail: String, range: Range<Int>? = nil) {
        self.init(code, detail, range: range, failure: nil)
    }

    private init(_ code: Code, _ detail: String, range: Range<Int>?, failure: SystemFailure?) {
        self.code = code
        self.detail = detail
        self.range = range
        systemFailure = failure
    }

    init(_ failure: SystemFailure, range: Range<Int>? = nil) {
        let (code, advice): (Code, String) =
            switch failure.errno {
            case .noSpace, .quotaExceeded, .fileTooLarge: (.noSpace, "; make room, then try again")
            case .inputOutput: (.inputOutput, "; see the kernel's log for the device")
            case .readOnlyFileSystem, .badDescriptor: (.readOnly, "; open the store for writing")
            case .notSupported: (.unsupported, "; choose other options or another file system")
            default: (.system, "")
            }
        self.init(code, failure.description + advice, range: range, failure: failure)
    }

    static func outOfRange(_ range: Range<Int>, of byteCount: Int) -> StoreError {
        StoreError(
            .outOfRange, "the store has \(byteCount) bytes; make it longer, or write less of it", range: range
        )
    }

    static func truncated(_ range: Range<Int>) -> StoreError {
        StoreError(
            .truncated, "the file has become shorter than it was when it was opened; open it anew",
            range: range)
    }

    static func cancelled(_ range: Range<Int>? = nil) -> StoreError {
        StoreError(.cancelled, "the task was cancelled", range: range)
    }

    /// A sentence that says what happened and what to do.
    public var description: String {
        range.map { "\(detail) (bytes \($0.lowerBound)..<\($0.upperBound))" } ?? detail
    }
}
