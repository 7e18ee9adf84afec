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
