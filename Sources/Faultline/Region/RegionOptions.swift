/// Choices for one region.
public struct RegionOptions: Sendable {
    /// A name for messages and reports, such as ``FaultFailure/region``.
    public var name: String
    /// What becomes of threads whose page cannot be supplied.
    public var failurePolicy: FailurePolicy
    /// The most pages one request may span when neighbours fault together; 256 by default, at least 1.
    public var maximumRequestPages: Int
    /// Whether a forked child gets a copy of memory that the pager maps. Off, the child has nothing mapped there
    /// (`MADV_DONTFORK`); on, pages that were not there when it was forked read as zero in it, since nobody serves its
    /// faults.
    public var isInheritedByFork: Bool

    /// Options with defaults. The parameters are the properties of the same names.
    public init(
        name: String = "region", failurePolicy: FailurePolicy = .poison, maximumRequestPages: Int = 256,
        isInheritedByFork: Bool = false
    ) {
        self.name = name
        self.failurePolicy = failurePolicy
        self.maximumRequestPages = max(maximumRequestPages, 1)
        self.isInheritedByFork = isInheritedByFork
    }
}
