import EventReactor
import Userfault

/// What the pager knows of one region, or of a part of one that was moved. Touched on the loop's thread only.
///
/// The range and the numbering of the pages never change. Which of the addresses are still the region's is in the
/// pager's index.
final class RegionState {
    // First, and close together, what every fault looks at: there may be thousands of regions.
    let range: AddressRange
    let pageSize: Int
    /// Its logarithm: what a fault would divide by is known to be a power of two by us only.
    let pageShift: Int
    /// The number of the first page in `home`.
    let firstPage: Int
    /// What the handler is asked for at most at a time, in pages.
    let maximumRequestPages: Int
    /// What the stall detector calls the region's handler, if there is one. The same for the whole family.
    var activity: ActivityID?
    /// Whether there is anything to fill ahead or to note, or the region is over a store: missing pages take more than asking
    /// the handler.
    private(set) var isWatched = false
    /// Installing pages takes more than what the handler asked for.
    private(set) var needsCare = false
    /// Whether pages that hold nothing but zeroes are looked for.
    let findsZeroPages: Bool
    /// What the kernel offered for the range when it was registered.
    var operations: Operations = [] { didSet { updateHugePages() } }
    /// How pieces that are filled at once become huge pages.
    var hugePages: HugePageFilling?
    private let confinedTable: Confined<FaultTable>
    let handler: any FaultHandler
    let pool: PageBufferPool
    /// The region as its handler sees it: the same, or more where this is a stripe of it.
    let home: AddressRange
    /// What the first page of `home` is to the handler, in bytes, and what that of `range` is.
    let homeOffset: Int
    let baseOffset: Int

    let memoryKind: MemoryKind
    let options: RegionOptions
    /// Keeps the memory mapped.
    let mapping: Mapping
    /// Whether the memory is ours to replace where it has to be sealed.
    let ownsMemory: Bool
    /// Whether the pager has mapped it just now, so that nothing else can be registered there.
    let isFresh: Bool
    /// Whether its process registers it, at a time of its own.
    let isRegisteredByPeer: Bool
    /// Whether a forked child has a copy of it.
    let isInherited: Bool
    /// What it belongs together with.
    let family: RegionFamily
    /// Zeroes to copy from, where the kernel cannot make zero pages (huge pages, protected pages).
    var zeroes: Mapping?
    /// Set when pages come into the region through the pager only: what the table does not know is not there.
    var hasOnlySuppliedPages = false
    /// What looks at writes to protected pages in the handler's place.
    var writeWatch: WriteWatch? { didSet { updateCare() } }
    /// Pages are write-protected as they are installed, whatever the handler says.
    var protectsFills = false
    /// Marks of protection may stand where pages are absent: the kernel fills over them with copies only.
    var isMarked = false { didSet { updateCare() } }
    /// It is a part, moved or copied, of a region whose writes were watched.
    let wasWatched: Bool
    static let hugePageSize = HugePage.size
    static let systemPageSize = SystemPage.size
    /// What is filled ahead of its readers, and what is noted of their first touches.
    private let confinedWatch: Confined<RegionWatch>
    /// What makes it a region over a store.
    var paging: RegionPaging? {
        didSet {
            updateWatch()
            updateCare()
        }
    }
    /// Set when the region is on its way out: late answers and faults on it are dropped.
    var isClosed = false

    /// - Parameters:
    ///   - stripe: the part of the mapping that it is; nil for all.
    ///   - baseOffset: what the first page of the mapping is to the handler, in bytes.
    ///   - isRegisteredByPeer: whether its process registers it.
    ///   - pool: the buffers it shares with others; nil for buffers of its own.
    init(
        mapping: Mapping, stripe: AddressRange? = nil, ownsMemory: Bool, pageSize: Int,
        memoryKind: MemoryKind = .privateAnonymous, baseOffset: Int = 0, isRegisteredByPeer: Bool = false,
        handler: any FaultHandler, options: RegionOptions, pool: PageBufferPool? = nil
    ) {
        home = mapping.range
        range = stripe ?? home
        firstPage = Int(range.start - home.start) / pageSize
        homeOffset = baseOffset
        self.mapping = mapping
        self.ownsMemory = ownsMemory
        isFresh = ownsMemory
        self.isRegisteredByPeer = isRegisteredByPeer
        isInherited = !ownsMemory || options.isInheritedByFork
        self.pageSize = pageSize
        pageShift = pageSize.trailingZeroBitCount
        self.memoryKind = memoryKind
        self.baseOffset = baseOffset + Int(range.start - home.start)
        self.handler = handler
        self.options = options
        maximumRequestPages = options.maximumRequestPages
        findsZeroPages = options.findsZeroPages
        wasWatched = false
        self.pool = pool ?? PageBufferPool(pageSize: pageSize, usesHugePages: options.fillsHugePages)
        family = RegionFamily(name: options.name, range: range)
        confinedTable = Confined(FaultTable(pageCount: range.byteCount / pageSize))
        confinedWatch = Confined(RegionWatch(options.readAhead, pageSize: pageSize))
        updateWatch()
    }

    /// The part `piece` of `whole`, or what comes behind it, as a region of its own that begins at `start` and goes by
    /// `table`. Its pages are to its handler what they were, or would have been, in `whole`.
    ///
    /// - Parameters:
    ///   - handler: nil for that of `whole`.
    ///   - family: nil for that of `whole`; another one for another process.
    init(
        _ piece: AddressRange, of whole: RegionState, at start: UInt, table: consuming FaultTable,
        handler: (any FaultHandler)? = nil, family: RegionFamily? = nil
    ) {
        range = AddressRange(start: start, byteCount: piece.byteCount)
        home = range
        firstPage = 0
        let isInPlace = family == nil && whole.range.contains(range)
        mapping = isInPlace ? whole.mapping : .borrowed(range)
        ownsMemory = isInPlace && whole.ownsMemory
        isFresh = false
        isRegisteredByPeer = whole.isRegisteredByPeer
        isInherited = whole.isInherited
        pageSize = whole.pageSize
        pageShift = whole.pageShift
        memoryKind = whole.memoryKind
        baseOffset = whole.offset(of: piece.start)
        homeOffset = baseOffset
        operations = whole.operations
        self.handler = handler ?? whole.handler
        options = whole.options
        maximumRequestPages = whole.maximumRequestPages
        findsZeroPages = whole.findsZeroPages
        pool = whole.pool
        self.family = family ?? whole.family
        confinedTable = Confined(table)
        confinedWatch = Confined(RegionWatch(whole.options.readAhead, pageSize: whole.pageSize))
        activity = self.family.activity
        wasWatched = whole.writeWatch != nil || whole.wasWatched
        hasOnlySuppliedPages = whole.hasOnlySuppliedPages
        isMarked = whole.isMarked
        needsCare = isMarked
        updateHugePages()
        updateWatch()
    }

    private func updateHugePages() {
        guard options.fillsHugePages, memoryKind == .privateAnonymous, operations.contains(.move),
            paging == nil
        else { return fillHugePagesNoMore() }
        let grid = HugePageGrid(start: range.start)
        hugePages = HugePageFilling(grid: grid)
        confinedWatch.value.readAhead.grid = grid
    }

    /// The kernel does not move pages to this memory.
    func fillHugePagesNoMore() {
        hugePages = nil
        confinedWatch.value.readAhead.grid = nil
    }

    private func updateWatch() { isWatched = paging != nil || !confinedWatch.value.isIdle }

    var table: FaultTable {
        _read { yield confinedTable.value }
        _modify { yield &confinedTable.value }
    }

    var watch: RegionWatch { _read { yield confinedWatch.value } }

    func changeWatch<R>(_ body: (inout RegionWatch) -> R) -> R {
        let result = body(&confinedWatch.value)
        updateWatch()
        return result
    }

    private func updateCare() { needsCare = isMarked || writeWatch != nil || paging != nil }
}
