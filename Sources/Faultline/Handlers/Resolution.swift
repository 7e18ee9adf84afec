public import Userfault

/// A handler's answer: how a range of pages is to be filled.
///
/// Make one on any thread; that does not block. It takes effect when it is returned or supplied: what the kernel says
/// then is dealt with by the pager.
public struct Resolution: Sendable {
    enum Action: Sendable {
        case copy(source: UInt, byteCount: Int)
        case zero
        case poison
        case retry(after: Duration)
    }

    enum Owner: Sendable {
        case buffer(PageBufferStorage)
        case source(PageSource)
        case none
    }

    let action: Action
    /// What the bytes to copy lie in, kept until they are installed.
    let owner: Owner
    /// The part of the request that is answered; nil for the whole.
    private(set) var range: AddressRange?

    private init(_ action: Action, owner: Owner = .none, range: AddressRange? = nil) {
        self.action = action
        self.owner = owner
        self.range = range
    }

    /// The pages take the contents of `buffer`, in order (`UFFDIO_COPY`). The buffer goes back to its pool afterwards.
    public static func copy(_ buffer: consuming PageBuffer) -> Resolution {
        let byteCount = buffer.byteCount
        let storage = buffer.take()
        return Resolution(
            .copy(source: storage.mapping.address, byteCount: byteCount), owner: .buffer(storage))
    }

    /// The pages take the bytes of `source` from byte `offset` on, copied from where they lie (`UFFDIO_COPY`). Bytes
    /// after the end of the source, up to the end of its last page, read as the mapping has them: zero.
    ///
    /// - Parameters:
    ///   - source: where the bytes lie; held until they are installed.
    ///   - offset: bytes from the source's start; need not be a multiple of the page size.
    /// - Precondition: `offset` lies within the source.
    public static func copy(from source: PageSource, at offset: Int) -> Resolution {
        precondition(offset >= 0 && offset < source.mapping.byteCount)
        return Resolution(
            .copy(
                source: source.mapping.address + UInt(offset), byteCount: source.mapping.byteCount - offset),
            owner: .source(source))
    }

    /// The pages read as zero (`UFFDIO_ZEROPAGE`).
    public static let zero = Resolution(.zero)

    /// The pages cannot be supplied: whoever touches them gets SIGBUS, a system call `EFAULT` (`UFFDIO_POISON`).
    /// Nobody is told: it is an answer, not a failure. On kernels before 6.6 it counts as one, and the region's
    /// ``FailurePolicy`` applies.
    public static let poison = Resolution(.poison)

    /// Ask again after `delay`; the threads go on waiting. Unlike an error this does not count against the limit of
    /// the region's ``FailurePolicy``.
    ///
    /// - Parameter delay: the pause, precise to some tens of microseconds.
    public static func retry(after delay: Duration) -> Resolution { Resolution(.retry(after: delay)) }

    /// The same answer for `range` alone, a page-aligned part of the request: what ``FaultRequest/supply(_:)`` takes.
    ///
    /// - Parameter range: addresses within ``FaultRequest/range``. The bytes to copy begin with those of its first page.
    public func covering(_ range: AddressRange) -> Resolution {
        var part = self
        part.range = range
        return part
    }
}
