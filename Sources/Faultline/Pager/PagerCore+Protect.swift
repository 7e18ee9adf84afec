import EventReactor
import Userfault

extension PagerCore {
    /// The regions that are served of what has a number.
    private func members(_ number: UInt64) throws(PagerError) -> [RegionState] {
        guard let family = families[number] else { throw .notOfThisPager(nil) }
        return family.members
    }

    /// Write-protects pages that are there; those that are not keep no protection unless the pager asked for it. False if
    /// the address space is changing, so that it must be tried again.
    func protect(_ range: AddressRange, of number: UInt64) throws(PagerError) -> Bool {
        guard lifecycle == .serving, let kernel else { throw .shutDown() }
        guard let region = try members(number).first(where: { $0.range.contains(range) }),
            range.byteCount > 0, (range.start | UInt(range.byteCount)) & UInt(region.pageSize - 1) == 0
        else {
            throw PagerError(.invalidRange, "only whole pages of the region can be protected", range: range)
        }
        guard region.operations.contains(.writeProtect) else {
            throw PagerError(
                .unsupportedOperation, "the region's modes do not include writes to protected pages",
                range: range)
        }
        // Of pages that are not there, only in a region whose handler is not asked for missing pages is anything known to the
        // kernel that could be protected.
        guard region.hasOnlySuppliedPages else {
            mark(region)
            return try protect(range, kernel)
        }
        let pages = region.pages(of: range)
        var next = pages.lowerBound
        while let run = region.table.nextPresentRun(from: next), run.lowerBound < pages.upperBound {
            guard try protect(region.range(of: run.clamped(to: pages)), kernel) else { return false }
            next = run.upperBound
        }
        return true
    }

    private func protect(_ range: AddressRange, _ kernel: any FaultKernel) throws(PagerError) -> Bool {
        statistics.protects += 1
        switch kernel.protect(range) {
        case .failed(let error): throw PagerError(error)
        case .whole: return true
        case .again: return false
        case let outcome:
            throw PagerError(.kernel, "the pages could not be protected: \(outcome)", range: range)
        }
    }
}
