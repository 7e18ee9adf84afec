internal import Glibc
internal import Userfault

extension Mapping {
    /// What the kernel answered to MADV_COLLAPSE.
    enum Collapse {
        case done
        /// Some of the pages are missing, protected, or somewhere else.
        case notPossible
        /// There is no memory for a huge page now.
        case noMemory
        case failed(CInt)
    }

    /// Puts pages of the system's size together to a huge page, where all of them are there: copies them, and holds the
    /// address space's lock for writing. Blocks for a good part of a millisecond.
    func collapse(_ range: AddressRange) -> Collapse {
        // MADV_COLLAPSE, Linux 6.1.
        let advice: CInt = 25
        guard self.range.contains(range),
            let start = unsafe UnsafeMutableRawPointer(bitPattern: range.start)
        else { return .notPossible }
        // Pages that somebody has hold of for a moment, such as another processor's list of new ones.
        for _ in 0..<10 {
            guard unsafe madvise(start, range.byteCount, advice) != 0 else { return .done }
            guard errno == EAGAIN || errno == EBUSY else { break }
            SystemPause.brief()
        }
        return switch errno {
        case EINVAL, EAGAIN, EBUSY: .notPossible
        case ENOMEM: .noMemory
        case let number: .failed(number)
        }
    }
}
