internal import Glibc
internal import Userfault

extension Mapping {
    /// The first bytes of a file, read-only, as everyone else sees and writes them.
    static func sharedFile(_ file: OpenFile, byteCount: Int) throws(SystemFailure) -> Mapping {
        try map(byteCount, PROT_READ, MAP_SHARED, file.descriptor, 0)
    }

    /// Copies the bytes `range` of `source` to the byte `offset` of this mapping.
    func copy(_ source: Mapping, _ range: Range<Int>, to offset: Int) {
        let target = unsafe pointer(offset, range.count)
        unsafe target.copyMemory(from: source.pointer(range.lowerBound, range.count), byteCount: range.count)
    }

    /// Makes bytes of private memory zero, and gives back the memory of whole pages among them.
    func clear(_ range: Range<Int>) {
        let page = SystemPage.size
        let first = (range.lowerBound + page - 1) / page * page
        let end = range.upperBound / page * page
        guard first < end, unsafe madvise(pointer(first, end - first), end - first, MADV_DONTNEED) == 0 else {
            return zero(range)
        }
        zero(range.lowerBound..<first)
        zero(end..<range.upperBound)
    }

    /// Whether all pages of these bytes of a mapped file are in the page cache (mincore(2)). Where the kernel does not
    /// tell, because the file is not ours to write, it says yes.
    func isCached(_ range: Range<Int>) -> Bool {
        let page = SystemPage.size
        let first = range.lowerBound / page * page
        let last = min((range.upperBound + page - 1) / page * page, byteCount)
        // One word for each of the pages that most requests have; more of them take a few rounds.
        var start = first
        while start < last {
            let count = min(last - start, 64 * page)
            let isCached = unsafe withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { bytes in
                guard let base = unsafe bytes.bindMemory(to: UInt8.self).baseAddress,
                    unsafe mincore(pointer(start, count), count, base) == 0
                else { return false }
                for index in 0..<count / page where unsafe base[index] & 1 == 0 { return false }
                return true
            }
            guard isCached else { return false }
            start += count
        }
        return true
    }
}
