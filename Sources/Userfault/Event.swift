/// A message of the kernel: `struct uffd_msg`.
///
/// Faults are read before events, whatever came first; within each, the order is the order of
/// arrival.
public enum Event: Hashable, Sendable {
    /// A thread waits for a page. (`UFFD_EVENT_PAGEFAULT`)
    case fault(Fault)

    /// The process forked; `descriptor` is a new userfaultfd for the child's copy of the registered
    /// ranges. (`UFFD_EVENT_FORK`)
    ///
    /// The descriptor belongs to the ``EventBatch`` until ``EventBatch/takeFork(at:)`` hands it
    /// over; here it is only shown. It is -1 once it was taken or closed.
    case fork(descriptor: CInt)

    /// Memory moved; the registration moved along. `byteCount` is the old length. Who waited at
    /// `from` must be woken. (`UFFD_EVENT_REMAP`)
    case remap(from: UInt, to: UInt, byteCount: Int)

    /// The contents of these pages are about to be dropped; from now on they are zero, not what
    /// they were. (`UFFD_EVENT_REMOVE`)
    case remove(AddressRange)

    /// The range was unmapped. It may be in use again already. Who waited there must be woken.
    /// (`UFFD_EVENT_UNMAP`)
    case unmap(AddressRange)

    /// A message this module does not know.
    case unknown(code: UInt8)
}

extension Event: CustomStringConvertible {
    /// What happened, in a few words.
    public var description: String {
        switch self {
        case .fault(let fault): "fault: \(fault)"
        case .fork(let descriptor): "fork: descriptor \(descriptor)"
        case .remap(let from, let to, let byteCount):
            "remap: \(AddressRange(start: from, byteCount: byteCount)) to 0x\(String(to, radix: 16))"
        case .remove(let range): "remove: \(range)"
        case .unmap(let range): "unmap: \(range)"
        case .unknown(let code): "unknown event 0x\(String(code, radix: 16))"
        }
    }
}
