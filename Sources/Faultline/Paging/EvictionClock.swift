/// The hand that goes round over the pages of all regions of a budget, and chooses those that are to leave memory.
///
/// A pure state machine: where the pages are is the caller's matter.
package struct EvictionClock {
    private var region = 0
    private var page = 0

    package init() {}

    /// A region has been taken away: the hand stands at its beginning no longer.
    package mutating func removeRegion(_ index: Int) {
        if index < region { region -= 1 } else if index == region { page = 0 }
    }

    /// Lets the hand go on until `wanted` pages are chosen. It stops after three rounds: what is left then cannot be had now.
    ///
    /// - Parameters:
    ///   - wanted: how many pages to choose.
    ///   - regionCount: how many regions there are.
    ///   - sweep: called with a region, where the hand stands in it, and how many pages are still wanted. Returns how many it
    ///     has chosen, and where the hand stands now; nil at the region's end.
    package mutating func choose(
        _ wanted: Int, of regionCount: Int, sweep: (Int, Int, Int) -> (chosen: Int, next: Int?)
    ) {
        var wanted = wanted
        // The rest of the region where the hand stands, and three rounds.
        var ends = 3 * regionCount + 1
        while wanted > 0, ends > 0, regionCount > 0 {
            if region >= regionCount { (region, page) = (0, 0) }
            let (chosen, next) = sweep(region, page, wanted)
            wanted -= chosen
            if let next {
                page = next
            } else {
                (region, page) = (region + 1, 0)
                ends -= 1
            }
        }
    }
}
