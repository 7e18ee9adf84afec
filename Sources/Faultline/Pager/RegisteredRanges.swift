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
    private struct State {
        var index = RangeIndex<Owner>()
        /// Addresses between two ranges, or none.
        var gap: ClosedRange<UInt>?
    }
    private let state = Confined(State())

    var index: RangeIndex<Owner> {
        _read { yield state.value.index }
        _modify {
            state.value.gap = nil
            yield &state.value.index
        }
    }

    /// Whether a range overlaps one of these. Sources of bytes lie together: mostly where the last one did.
    func overlaps(_ range: AddressRange) -> Bool {
        let last = range.end &- 1
        if let gap = state.value.gap, gap.contains(range.start), gap.contains(last) { return false }
        return find(range, last)
    }

    @inline(never)
    private func find(_ range: AddressRange, _ last: UInt) -> Bool {
        guard index.firstOverlap(range) == nil else { return true }
        let start = index.entry(before: range.start)?.range.end ?? 0
        let end = index.start(after: last) ?? UInt.max
        state.value.gap = start <= last && last < end ? start...(end - 1) : nil
        return false
    }
}
