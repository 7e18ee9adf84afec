import EventReactor
import Userfault

/// A region as its owner knows it, with the parts of it that were moved elsewhere or have grown. They come and go one by
/// one, and are taken out of service together.
final class RegionFamily {
    /// Never used twice in a pager, unlike addresses; 0 until it is in service.
    var number: UInt64 = 0
    let name: String
    /// Its addresses in the beginning.
    let range: AddressRange
    /// All of the striped region of which it is a stripe.
    var whole: AddressRange?
    var activity: ActivityID?
    /// Those that have pages.
    var members: [RegionState] = []

    init(name: String, range: AddressRange) {
        self.name = name
        self.range = range
    }
}
