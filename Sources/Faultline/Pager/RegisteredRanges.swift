import Userfault

/// The ranges registered by all pagers of one reactor, and whose they are: copying from one of them would make the loop wait
/// for itself.
final class RegisteredRanges {
    struct Owner {
        /// A pager takes its ranges out before it goes, unless others share them.
        unowned let core: PagerCore
        var isShared = false

        /// Whether `part` is served no longer; what several share is not given up.
        func giveUp(_ part: AddressRange, isFresh: Bool) -> Bool {
            !isShared && core.giveUp(part, isFresh: isFresh)
        }
    }

    /// How many stripes of a striped region are served here, by its first address.
    var shares: [UInt: Int] = [:]
    private let storage = Confined(RangeIndex<Owner>())

    var index: RangeIndex<Owner> {
        _read { yield storage.value }
        _modify { yield &storage.value }
    }
}
