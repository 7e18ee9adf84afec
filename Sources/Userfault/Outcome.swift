/// How a call that changes pages ended.
///
/// The kernel answers in two places, errno and a signed field with the bytes done, and means
/// different things by the same errno. This is the one answer they amount to.
public enum Outcome: Hashable, Sendable {
    /// All of the range is done, and who waited in it is awake (unless told not to wake).
    case whole

    /// The first `bytesDone` bytes are done and their waiters awake; the rest is untouched. Going
    /// on at `range.droppingFirst(bytes: bytesDone)` brings the reason. (`EAGAIN` with a positive
    /// field.)
    case partial(bytesDone: Int)

    /// The first page has something already: another call was faster, or the page came by another
    /// way. Nothing was changed, and **nobody was woken**: call ``Userfaultfd/wake(_:)`` for the
    /// page. (`EEXIST`)
    case exists

    /// Nothing was done, because a fork, mremap, madvise or munmap of this address space is under
    /// way. Read the messages, then try again after a short while; nothing announces the moment.
    /// (`EAGAIN` with no bytes done.)
    case again

    /// What was to be changed is not there any more.
    case gone(Gone)

    // Indirect, so that the answer fits into registers.
    /// Nothing was done, for a reason that trying again will not change by itself.
    indirect case failed(UserfaultfdError)

    /// What went away.
    public enum Gone: Hashable, Sendable {
        /// The range is not, or no longer, within one registered mapping; for
        /// ``Userfaultfd/move(from:to:options:)`` also: the source has a hole. Who still waits
        /// there must be woken. (`ENOENT`)
        case range
        /// The process that the memory belongs to has exited. (`ESRCH`)
        case process
    }
}

extension Outcome {
    /// Decodes the kernel's answer. `done` is the signed output field, preset to 0.
    package init(operation: UserfaultfdError.Operation, range: AddressRange, error: CInt, done: Int64) {
        let errno = Errno(rawValue: error)
        switch errno {
        case Errno(rawValue: 0): self = .whole
        case .tryAgain where done > 0: self = .partial(bytesDone: Int(done))
        case .tryAgain: self = .again
        case .exists: self = .exists
        case .noEntry: self = .gone(.range)
        case .noProcess: self = .gone(.process)
        default:
            self = .failed(
                UserfaultfdError(
                    operation: operation, errno: errno, range: range, bytesDone: max(0, Int(done))))
        }
    }
}

extension Outcome: CustomStringConvertible {
    /// One or two words, or the sentence of the error.
    public var description: String {
        switch self {
        case .whole: "whole"
        case .partial(let bytesDone): "partial (\(bytesDone) bytes done)"
        case .exists: "exists"
        case .again: "again"
        case .gone(.range): "gone (range)"
        case .gone(.process): "gone (process)"
        case .failed(let error): "failed: \(error)"
        }
    }
}
