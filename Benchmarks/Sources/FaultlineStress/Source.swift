internal import CStress
import Faultline
import Userfault

/// Where the pages of a bounce come from: ordinary memory at first, then the memory of the bounce before, which nobody
/// serves or writes any more.
struct Source: Sendable {
    let range: AddressRange
    /// Keeps the memory mapped.
    private let owner: any Sendable

    /// Fresh pages, and their counters in `shadow`.
    init(fresh pages: Int, pageSize: Int, shadow: Shadow) throws(Failure) {
        let memory = try OrdinaryMemory(byteCount: pages * pageSize)
        cstress_prepare(memory.range.start, pages, pageSize, shadow.address)
        range = memory.range
        owner = memory
    }

    /// The memory of a region that is not served any more.
    init(retired region: Region) {
        range = region.range
        owner = region
    }

    /// The same bytes for the pager to copy from.
    var pages: PageSource { unsafe PageSource(unsafeMemoryAt: range) }

    /// Copies bytes to the same offset of shared memory, through its own mapping.
    func copy(_ offsets: Range<Int>, to memory: SharedMemory) {
        memory.withMutableBytes(offsets) { bytes in copy(offsets, to: &bytes) }
    }

    /// Copies bytes to the beginning of `bytes`.
    func copy(_ offsets: Range<Int>, to bytes: inout MutableRawSpan) {
        unsafe bytes.withUnsafeMutableBytes { target in
            cstress_copy(
                UInt(bitPattern: target.baseAddress), range.start + UInt(offsets.lowerBound), offsets.count)
        }
    }
}

/// Private memory, unmapped at the end.
private final class OrdinaryMemory: Sendable {
    let range: AddressRange

    init(byteCount: Int) throws(Failure) {
        let address = cstress_map(byteCount)
        if address == 0 { throw .failed("There is no memory for \(byteCount) bytes.") }
        range = AddressRange(start: address, byteCount: byteCount)
    }

    deinit { cstress_unmap(range.start, range.byteCount) }
}
