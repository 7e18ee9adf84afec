/// Pages that are there, as far as we know, and for which a message came all the same.
///
/// One such message is late: its thread was about to sleep when the page was installed, and will find it. A second one
/// means that the page went away behind our back (say, by an madvise of the application).
package struct SuspectPages {
    private var addresses: Set<UInt> = []
    private static let limit = 1024

    package init() {}

    /// Notes a message for the page at `address`. False when the page must be supplied anew: it was suspect before, or
    /// there are so many suspects that it may have been.
    package mutating func insert(_ address: UInt) -> Bool {
        if addresses.remove(address) != nil { return false }
        if addresses.count >= Self.limit {
            addresses.removeAll()
            return false
        }
        addresses.insert(address)
        return true
    }
}
