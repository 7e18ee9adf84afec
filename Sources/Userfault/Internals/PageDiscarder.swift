internal import CUserfaultfd

/// Drops pages of this process's memory, many ranges at a time (process_madvise(2), `MADV_DONTNEED`).
///
/// Any thread may use it, a reactor's included: the memory is not touched. Not for memory whose descriptor reports
/// removals (`UFFD_EVENT_REMOVE`), unless another thread reads that.
package final class PageDiscarder: Sendable {
    /// A descriptor of this process; negative where there is none: ranges are dropped one by one then.
    private let process: CInt

    package init() { process = cuserfaultfd_own_process() }

    deinit { if process >= 0 { Kernel.close(process) } }

    /// Drops whole pages. Returns how many of the ranges were dropped: those before the first that the kernel refuses.
    package func discard(_ ranges: ArraySlice<AddressRange>) -> Int {
        unsafe withUnsafeTemporaryAllocation(of: iovec.self, capacity: ranges.count) { vectors in
            for (index, range) in ranges.enumerated() {
                unsafe vectors[index] = iovec(
                    iov_base: UnsafeMutableRawPointer(bitPattern: range.start), iov_len: range.byteCount)
            }
            return Int(unsafe cuserfaultfd_discard(process, vectors.baseAddress, UInt64(ranges.count)))
        }
    }
}
