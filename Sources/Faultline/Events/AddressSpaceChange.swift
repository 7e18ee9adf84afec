public import Userfault

/// Something that happened to a pager's memory, as told to its owner through ``Pager/Configuration/onChange``.
public struct AddressSpaceChange: Hashable, Sendable {
    /// What happened.
    public enum Kind: Hashable, Sendable {
        /// The contents of the pages were dropped (madvise(2)).
        case removed
        /// The pages are no longer mapped, or something else is mapped in their place.
        case unmapped
        /// The pages are now at other addresses, which begin at `to`.
        case moved(to: UInt)
        /// The region has become longer by these pages (mremap(2)); noticed at the first fault in them.
        case grown
        /// Nothing is left of the region: it is out of service, as if it had been unmapped.
        case ended
    }

    /// The region's name.
    public let region: String
    /// The pages concerned; for ``Kind/ended`` those of the region in the beginning.
    public let range: AddressRange
    /// What happened to them.
    public let kind: Kind

    package init(region: String, range: AddressRange, kind: Kind) {
        self.region = region
        self.range = range
        self.kind = kind
    }
}
