public import Userfault

/// A range of memory whose pages come from a handler, the first time a thread touches them.
///
/// Made by ``Pager/map(byteCount:handler:options:)``. The memory stays mapped as long as this object lives, and as
/// long as the pager serves it. After the pager has shut down, pages that were supplied stay readable and writable;
/// touching one that was not raises SIGBUS.
///
/// Its properties may be read on any thread; that neither blocks nor touches the memory.
public final class Region: Sendable {
    /// The addresses of the region.
    public let range: AddressRange
    /// The size of its pages in bytes.
    public let pageSize: Int
    /// Its name in messages and reports.
    public let name: String
    /// The pager that serves it.
    public let pager: Pager
    /// What the pager knows it by.
    let number: UInt64
    let mapping: Mapping
    /// Pages come into the region through the pager only.
    let hasOnlySuppliedPages: Bool
    let memoryKind: MemoryKind
    /// Which faults are the pager's.
    let modes: RegistrationModes
    /// Pages leave memory for others, one by one (``MemoryBudget``).
    let hasBudget: Bool

    init(state: RegionState, pager: Pager) {
        number = state.family.number
        range = state.range
        pageSize = state.pageSize
        name = state.options.name
        mapping = state.mapping
        hasOnlySuppliedPages = state.hasOnlySuppliedPages
        memoryKind = state.memoryKind
        modes = state.options.modes
        hasBudget = state.paging?.budget != nil
        self.pager = pager
    }
}
