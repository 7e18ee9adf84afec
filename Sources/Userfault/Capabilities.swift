/// What this kernel allows this process: see ``Userfaultfd/probe(trying:)``.
public struct Capabilities: Hashable, Sendable {
    /// The way of opening that worked.
    public var access: Userfaultfd.Access

    /// What the ways before it said.
    public var refusals: Refusals

    /// All the features the kernel has, those without a name here included.
    public var availableFeatures: Features

    /// The operations of a descriptor. What may be done to a range is the answer of
    /// ``Userfaultfd/register(_:modes:)``.
    public var operations: Operations

    /// Puts capabilities together, for those who stand in for the kernel in tests.
    public init(
        access: Userfaultfd.Access, refusals: Refusals, availableFeatures: Features, operations: Operations
    ) {
        self.access = access
        self.refusals = refusals
        self.availableFeatures = availableFeatures
        self.operations = operations
    }

    /// Whether accesses by the kernel on behalf of a thread (`read(2)` into a missing page) are
    /// served as well. Where not, such a system call fails with `EFAULT`.
    public var servesKernelFaults: Bool { access != .userModeOnly }
}

extension Capabilities: CustomStringConvertible {
    /// A sentence for a log.
    public var description: String {
        let refused = refusals.isEmpty ? "" : " (refused: \(refusals))"
        return "userfaultfd by \(access)\(refused), features \(availableFeatures), operations \(operations)"
    }
}
