public import Userfault

/// A range of another process's memory whose pages come from a handler in this one.
///
/// Made by ``Pager/adopt(_:memory:pageSize:offset:registration:handler:options:)``. The memory is not mapped here: its addresses mean
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
    /// What the pager knows it by.
    let number: UInt64

    convenience init(state: RegionState, pager: Pager) {
        self.init(
            number: state.family.number, range: state.range, pageSize: state.pageSize,
            name: state.options.name, pager: pager)
    }

    init(number: UInt64, range: AddressRange, pageSize: Int, name: String, pager: Pager) {
        self.number = number
        self.range = range
        self.pageSize = pageSize
        self.name = name
        self.pager = pager
    }
}
