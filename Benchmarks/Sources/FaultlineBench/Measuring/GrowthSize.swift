/// How large a thing is while one thread faults in it.
struct GrowthSize: Equatable, Sendable {
    /// What grows.
    enum Axis: String, CaseIterable {
        /// The address space of one region, bytes.
        case space
        /// Regions of one pager.
        case regions
        /// Threads that wait for pages meanwhile, at several descriptors.
        case parked
        /// The same at one descriptor, whose queue the kernel walks at every wake.
        case queue
        /// Descriptors in one loop, each with a region.
        case descriptors
    }

    var regionBytes: Int?
    var regions = 1
    var parked = 0
    var descriptors = 1
    /// Descriptors that share one region.
    var sharing = 1

    init(_ axis: Axis, _ size: Int) {
        switch axis {
        case .space: regionBytes = size
        case .regions: regions = size
        case .parked:
            parked = size
            sharing = 16
        case .queue: parked = size
        case .descriptors:
            descriptors = size
            regions = size
        }
    }
}

/// Where the pages lie that are touched.
///
/// In a region of a given size they lie in windows, spread evenly over it. A window has page tables of its own, whatever the size:
/// the kernel has the same to do.
struct GrowthLayout: Equatable, Sendable {
    let regions: Int
    let regionBytes: Int
    let pagesPerRegion: Int
    let windowPages: Int
    /// From the beginning of one window to that of the next, bytes.
    let pitch: Int

    /// A page table covers so much.
    private static let tableBytes = 512 * System.pageSize

    init(_ size: GrowthSize, pages: Int) {
        if let bytes = size.regionBytes {
            regions = 1
            pagesPerRegion = pages
            // As many as have a page table each, of those that the smallest region has room for.
            let windows = min(pages, 256)
            windowPages = (pages + windows - 1) / windows
            pitch = max(bytes / windows / Self.tableBytes, 1) * Self.tableBytes
            regionBytes = max(bytes, windows * pitch)
        } else {
            let each = (pages + size.regions - 1) / size.regions
            pagesPerRegion = each
            windowPages = each
            pitch = each * System.pageSize
            regionBytes = pitch
            regions = size.descriptors > 1 ? size.regions : (pages + each - 1) / each
        }
    }

    /// Which page of its region lies at an offset.
    func page(at offset: Int) -> Int { offset / pitch * windowPages + offset % pitch / System.pageSize }

    /// Where the first `pages` pages lie.
    func addresses(_ pages: Int, bases: [UInt]) -> [UInt] {
        (0..<pages).map { page in
            let (region, number) = page.quotientAndRemainder(dividingBy: pagesPerRegion)
            let (window, rest) = number.quotientAndRemainder(dividingBy: windowPages)
            return bases[region] + UInt(window * pitch + rest * System.pageSize)
        }
    }
}
