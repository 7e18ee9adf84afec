internal import Userfault

/// What the threads that fault in a region may do themselves.
struct InThreadPlan {
    /// Map pages that are there already (`UFFDIO_CONTINUE`).
    var mapsExisting = false
    /// Copy from `source` (`UFFDIO_COPY`).
    var copies = false
    /// Install zero pages behind the end of `source` (`UFFDIO_ZEROPAGE`).
    var zeroes = false
    /// The bytes that the region begins with; may be empty.
    var source = AddressRange(start: 0, byteCount: 0)
    /// What keeps them.
    var owner: PageSource?
    /// How many pages a fault installs, at most.
    var pagesPerFault = 1
}

/// What threads have done themselves.
struct InThreadCounts {
    /// Faults.
    var resolutions = 0
    /// Pages installed.
    var pages = 0
    /// Those of them that the pager's tables do not know.
    var present = 0
    /// The bytes of all of them.
    var bytes = 0

    static func += (left: inout InThreadCounts, right: InThreadCounts) {
        left.resolutions += right.resolutions
        left.pages += right.pages
        left.present += right.present
        left.bytes += right.bytes
    }
}
