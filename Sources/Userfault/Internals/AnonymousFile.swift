internal import CUserfaultfd

/// Files without a name, in memory. Empty, every access to a mapping of one raises SIGBUS.
package enum AnonymousFile {
    /// A new descriptor (memfd_create(2)), which the caller closes, or a negative errno.
    package static func open(hugePages: Bool = false) -> CInt {
        cuserfaultfd_anonymous_file(hugePages ? 1 : 0)
    }
}
