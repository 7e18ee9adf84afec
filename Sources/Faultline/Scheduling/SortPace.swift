/// Whether it pays to sort the faults of a read: where threads touch pages at random, none are neighbours, and then most reads
/// are left as they came, until neighbours are found again.
package struct SortPace {
    /// So many reads in a row are sorted for nothing before the first is not.
    package static let patience = 16
    package static let mostSkipped = 7

    private var fruitless = 0
    private var skipped = 0

    package init() {}

    /// Whether the next read is sorted.
    package mutating func sortsNext() -> Bool {
        guard fruitless >= Self.patience, skipped < Self.mostSkipped else {
            skipped = 0
            return true
        }
        skipped += 1
        return false
    }

    /// A read has been admitted. `isRandom`: it had no neighbours, and all of it was answered at once. Answers that are still to
    /// come would be woken for nothing by those around them.
    package mutating func admitted(isRandom: Bool) { fruitless = isRandom ? fruitless + 1 : 0 }
}
