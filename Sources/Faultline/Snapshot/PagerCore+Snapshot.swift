import EventReactor
import Userfault

extension PagerCore {
    /// Makes sure that a snapshot of the region can be taken, and that no other is.
    func reserveSnapshot(
        of region: RegionState, board: SnapshotBoard, options: SnapshotOptions
    ) throws(PagerError) -> SnapshotCore {
        guard kernel?.features.contains(.asynchronousWriteProtect) != true else {
            throw PagerError(
                .unsupportedOperation,
                "with asynchronous write-protection nobody can hold a write up; use a pager with messages",
                range: region.range)
        }
        guard region.writeWatch?.snapshot == nil else {
            throw PagerError(.busy, "another snapshot of the region is being taken", range: region.range)
        }
        guard options.missingPages == .supply || region.hasOnlySuppliedPages else {
            throw PagerError(
                .unsupportedOperation,
                "missing pages can be skipped only where all pages come from a handler: in memory that the pager "
                    + "mapped with the mode missing", range: region.range)
        }
        let watch = watch(region)
        let snapshot = SnapshotCore(
            watch, board: board,
            suppliesMissing: options.missingPages == .supply && region.options.modes.contains(.missing),
            pauses: options.pauseWriters != nil)
        watch.snapshot = snapshot
        return snapshot
    }
}
