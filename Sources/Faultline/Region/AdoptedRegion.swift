public import Userfault

/// A range of another process's memory whose pages come from a handler in this one.
///
/// Made by ``Pager/adopt(_:memory:pageSize:offset:handler:options:)``. The memory is not mapped here: its addresses mean
/// something in the other process only. Its properties may be read on any thread; that neither blocks nor allocates.
public final class AdoptedRegion: Sendable {
    /// The addresses of the region in its process.
    public let range: AddressRange
    /// The size of its pages in bytes.
    public let pageSize: Int
    /// Its name in messages and reports.
    public let name: String
    /// The pager that serves it.
    public let pager: Pager

    init(state: RegionState, pager: Pager) {
        range = state.range
        pageSize = state.pageSize
        name = state.options.name
        self.pager = pager
    }
}
