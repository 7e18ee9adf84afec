import EventReactor
import Userfault

/// What the pager knows of one region. Touched on the loop's thread only.
final class RegionState {
    let range: AddressRange
    let pageSize: Int
    let memoryKind: MemoryKind
    /// What the first page is to the handler, in bytes.
    let baseOffset: Int
    /// What the kernel offered for the range when it was registered.
    var operations: Operations = []
    let options: RegionOptions
    let handler: any FaultHandler
    /// Keeps the memory mapped.
    let mapping: Mapping
    /// Whether the memory is ours to replace where it has to be sealed.
    let ownsMemory: Bool
    let pool: PageBufferPool
    private let confinedTable: Confined<FaultTable>
    /// What the stall detector calls the region's handler, if there is one.
    var activity: ActivityID?
    /// Zeroes to copy from, where the kernel cannot make zero pages (huge pages).
    var zeroes: Mapping?
    static let hugePageSize = 2 << 20
    static let systemPageSize = SystemPage.size
    /// What is filled ahead of its readers, and what is noted of their first touches.
    private let confinedWatch: Confined<RegionWatch>
    /// Whether that is anything at all.
    private(set) var isWatched = false
    /// Set when the region is on its way out: late answers and faults on it are dropped.
    var isClosed = false

    init(
        mapping: Mapping, ownsMemory: Bool, pageSize: Int, memoryKind: MemoryKind = .privateAnonymous,
        baseOffset: Int = 0, handler: any FaultHandler, options: RegionOptions
    ) {
        range = mapping.range
        self.mapping = mapping
        self.ownsMemory = ownsMemory
        self.pageSize = pageSize
        self.memoryKind = memoryKind
        self.baseOffset = baseOffset
        self.handler = handler
        self.options = options
        pool = PageBufferPool(pageSize: pageSize)
        confinedTable = Confined(FaultTable(pageCount: mapping.byteCount / pageSize))
        confinedWatch = Confined(RegionWatch(options.readAhead, pageSize: pageSize))
        isWatched = !confinedWatch.value.isIdle
    }

    var table: FaultTable {
        _read { yield confinedTable.value }
        _modify { yield &confinedTable.value }
    }

    var watch: RegionWatch { _read { yield confinedWatch.value } }

    func changeWatch<R>(_ body: (inout RegionWatch) -> R) -> R {
        let result = body(&confinedWatch.value)
        isWatched = !confinedWatch.value.isIdle
        return result
    }

    func page(of address: UInt) -> Int { Int(address - range.start) / pageSize }

    func pages(of range: AddressRange) -> Range<Int> {
        let first = page(of: range.start)
        return first..<first + range.byteCount / pageSize
    }

    func range(of pages: Range<Int>) -> AddressRange {
        AddressRange(
            start: range.start + UInt(pages.lowerBound * pageSize), byteCount: pages.count * pageSize)
    }
}
