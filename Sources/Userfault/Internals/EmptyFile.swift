internal import CUserfaultfd

/// A file without contents, for mappings whose every access raises SIGBUS.
package enum EmptyFile {
    /// A new descriptor (memfd_create(2)), which the caller closes, or a negative errno.
    package static func open() -> CInt { cuserfaultfd_empty_file() }
}
