import Userfault

/// Tells whether memory of this process is made of huge pages (`PAGEMAP_SCAN`, Linux 6.7). The loop's thread.
final class HugePageProbe {
    private let reader = try? PagemapReader()

    /// Whether all of `range` is; where that cannot be found out, it is taken for granted.
    func isHuge(_ range: AddressRange) -> Bool {
        guard let reader, let count = try? reader.hugeByteCount(in: range) else { return true }
        return count == range.byteCount
    }
}
