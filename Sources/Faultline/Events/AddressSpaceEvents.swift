internal import Userfault

/// Changes of the address space that the kernel tells a pager about, if it is asked to.
///
/// Without them the pager does not know that memory was moved, dropped or unmapped, and children of fork(2) are not
/// served. With any of them, who causes one waits until it is read, and the messages of a pager of this process are read by a
/// thread of their own: see <doc:ChangesOfTheAddressSpace>.
public struct AddressSpaceEvents: OptionSet, Hashable, Sendable {
    /// The events, one bit each.
    public let rawValue: UInt8

    /// Takes the bits as they are.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// fork(2) (`UFFD_FEATURE_EVENT_FORK`): the child's memory is served or let go, as ``Pager/Configuration/forkPolicy``
    /// says. Needs `CAP_SYS_PTRACE`.
    public static let fork = AddressSpaceEvents(rawValue: 1 << 0)
    /// mremap(2) (`UFFD_FEATURE_EVENT_REMAP`): regions move, grow and shrink along. Comes with ``unmap``, by which the pager
    /// knows what has become of the old addresses.
    public static let remap = AddressSpaceEvents(rawValue: 1 << 1)
    /// madvise(2) that drops pages (`UFFD_FEATURE_EVENT_REMOVE`): they read as zero afterwards, or are asked for anew
    /// (``RegionOptions/removedPages``).
    public static let remove = AddressSpaceEvents(rawValue: 1 << 2)
    /// munmap(2), and mmap(2) over a region (`UFFD_FEATURE_EVENT_UNMAP`): who waits there is let go, and the addresses can
    /// be used again.
    public static let unmap = AddressSpaceEvents(rawValue: 1 << 3)

    /// All of them.
    public static let all: AddressSpaceEvents = [.fork, .remap, .remove, .unmap]

    var features: Features {
        var features: Features = []
        if contains(.fork) { features.insert(.forkEvents) }
        if contains(.remap) { features.formUnion([.remapEvents, .unmapEvents]) }
        if contains(.remove) { features.insert(.removeEvents) }
        if contains(.unmap) { features.insert(.unmapEvents) }
        return features
    }
}

extension Features {
    /// Those that make the kernel tell of changes of the address space, and let who causes one wait.
    static let events: Features = [.forkEvents, .remapEvents, .removeEvents, .unmapEvents]
}
