/// What kind of memory a range is, for the questions whose answer depends on it.
public enum MemoryKind: Hashable, Sendable {
    /// `MAP_PRIVATE | MAP_ANONYMOUS`.
    case privateAnonymous
    /// memfd, tmpfs, System V and shared anonymous memory, mapped shared or private.
    case sharedMemory
    /// hugetlbfs and `MAP_HUGETLB`. Ranges must be aligned to the huge page.
    case hugePages
}

extension Features {
    /// Whether a kernel that has these features can register memory of this kind with these modes.
    ///
    /// Takes what is *available* (``Userfaultfd/availableFeatures``), since advertisements need not
    /// be enabled.
    public func allows(_ modes: RegistrationModes, on memory: MemoryKind) -> Bool {
        guard !modes.isEmpty, modes.isSubset(of: [.missing, .writeProtect, .minor]) else { return false }
        var needed: Features = []
        switch memory {
        case .privateAnonymous:
            if modes.contains(.minor) { return false }
            if modes.contains(.writeProtect) { needed.insert(.writeProtectFaults) }
        case .sharedMemory:
            if modes.contains(.missing) { needed.insert(.missingSharedMemory) }
            if modes.contains(.writeProtect) { needed.insert(.writeProtectSharedMemory) }
            if modes.contains(.minor) { needed.insert(.minorSharedMemory) }
        case .hugePages:
            if modes.contains(.missing) { needed.insert(.missingHugePages) }
            if modes.contains(.writeProtect) { needed.insert(.writeProtectSharedMemory) }
            if modes.contains(.minor) { needed.insert(.minorHugePages) }
        }
        return isSuperset(of: needed)
    }
}

extension Operations {
    /// What really works on memory of this kind, out of what ``Userfaultfd/register(_:modes:)``
    /// answered.
    ///
    /// The kernel reports `UFFDIO_MOVE` for shared memory as well, and then refuses it with
    /// `EINVAL`.
    public func usable(on memory: MemoryKind) -> Operations {
        memory == .privateAnonymous ? self : subtracting(.move)
    }

    /// Whether all of `operations` may be called.
    public func allows(_ operations: Operations) -> Bool {
        isSuperset(of: operations)
    }
}
