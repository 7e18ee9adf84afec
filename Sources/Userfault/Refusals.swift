/// What the ways of opening a userfaultfd said that did not work, in the order they were tried; at
/// most one for each way.
public struct Refusals: Hashable, Sendable {
    /// One way that did not work.
    public struct Refusal: Hashable, Sendable, CustomStringConvertible {
        /// The way.
        public var access: Userfaultfd.Access
        /// What the kernel said to it.
        public var errno: Errno

        /// Notes that `access` answered `errno`.
        public init(access: Userfaultfd.Access, errno: Errno) {
            self.access = access
            self.errno = errno
        }

        /// For instance `/dev/userfaultfd: EACCES (Permission denied)`.
        public var description: String { "\(access): \(errno)" }
    }

    // Inline, not an array: the error that carries this must not own anything.
    private var first: Refusal?
    private var second: Refusal?
    private var third: Refusal?

    /// No refusals.
    public init() {}

    /// Adds a refusal at the end. There is room for one of each way; more are dropped.
    public mutating func append(_ refusal: Refusal) {
        if first == nil {
            first = refusal
        } else if second == nil {
            second = refusal
        } else if third == nil {
            third = refusal
        }
    }
}

extension Refusals: RandomAccessCollection {
    /// Always 0.
    public var startIndex: Int { 0 }

    /// The number of refusals.
    public var endIndex: Int {
        if third != nil { return 3 }
        if second != nil { return 2 }
        return first == nil ? 0 : 1
    }

    /// The refusal at a position.
    ///
    /// - Precondition: `position` is a valid index.
    public subscript(position: Int) -> Refusal {
        let found = position == 0 ? first : position == 1 ? second : position == 2 ? third : nil
        guard let found else { preconditionFailure("no refusal at \(position)") }
        return found
    }
}

extension Refusals: CustomStringConvertible {
    /// The refusals, separated by semicolons.
    public var description: String { map(\.description).joined(separator: "; ") }
}
