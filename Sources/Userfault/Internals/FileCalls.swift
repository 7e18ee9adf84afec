internal import CUserfaultfd

/// Calls on files that the C library's module does not have. Errors are negated errno values.
package enum FileCalls {
    /// open(2), close-on-exec; `isDirect` is `O_DIRECT`.
    package static func open(_ path: String, flags: CInt, isDirect: Bool, mode: UInt32) -> CInt {
        unsafe cuserfaultfd_open(path, flags, isDirect ? 1 : 0, mode)
    }

    /// Whether all of a file is in the page cache by nature (tmpfs, ramfs).
    package static func liesInMemory(_ descriptor: CInt) -> Bool {
        cuserfaultfd_lies_in_memory(descriptor) != 0
    }

    /// The first byte at or after `offset` that lies in no hole (lseek(2), `SEEK_DATA`); `-ENXIO` when there is none.
    package static func nextData(_ descriptor: CInt, from offset: Int) -> Int {
        Int(cuserfaultfd_next_data(descriptor, Int64(offset)))
    }

    /// Makes a hole (fallocate(2), `FALLOC_FL_PUNCH_HOLE`); zero when that is done.
    package static func punch(_ descriptor: CInt, _ range: Range<Int>) -> CInt {
        cuserfaultfd_punch(descriptor, Int64(range.lowerBound), Int64(range.count))
    }
}
