internal import CUserfaultfd

/// This process's memory as the kernel sees it.
package enum ProcessMemory {
    /// Copies `source` to `target`, memory of the caller's, through the kernel (process_vm_readv(2)). Missing pages are
    /// waited for, where faults in the kernel are served; what cannot be read ends the copy instead of the process.
    ///
    /// - Returns: the bytes copied, counted from the first; a negated errno where it is none.
    @unsafe
    package static func copy(_ source: AddressRange, to target: UnsafeMutableRawPointer) -> Int {
        unsafe Int(cuserfaultfd_read_memory(target, UInt64(source.start), UInt64(source.byteCount)))
    }
}

package enum BulkThread {
    /// Lets threads that wake up have the processor of the calling one at once, where the kernel can (6.12), instead of when its
    /// slice is over. Its share of the processor stays the same. Elsewhere this does nothing.
    package static func begin() {
        // A little more than the usual slice, which is 2.8 ms at most: what counts is which is longer. Much more would have the
        // thread wait for the processor itself, many times as long as others, where many want it.
        _ = cuserfaultfd_long_slice(4_000_000)
    }
}
