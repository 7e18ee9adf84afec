public import Userfault

/// A range of memory whose pages come from a handler: a ``Region`` of this process, or an ``AdoptedRegion`` of another.
public protocol ServedRegion: Sendable {
    /// The addresses of the region in its process.
    var range: AddressRange { get }
    /// The size of its pages in bytes.
    var pageSize: Int { get }
    /// Its name in messages and reports.
    var name: String { get }
    /// The pager that serves it.
    var pager: Pager { get }
}

extension ServedRegion {
    /// The length in bytes, a whole number of pages.
    public var byteCount: Int { range.byteCount }
    /// The length in pages.
    public var pageCount: Int { range.byteCount / pageSize }

    /// What the pager knows it by: unlike its addresses, this is never used twice. 0 for a conformance of somebody else's.
    var number: UInt64 {
        switch self {
        case let region as Region: region.number
        case let region as AdoptedRegion: region.number
        case let stripe as Stripe: stripe.number
        default: 0
        }
    }
}

extension Region: ServedRegion {}
extension AdoptedRegion: ServedRegion {}
