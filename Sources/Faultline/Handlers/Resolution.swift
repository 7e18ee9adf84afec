public import Userfault

/// A handler's answer: how a range of pages is to be filled.
///
/// Make one on any thread; that does not block. It takes effect when it is returned or supplied: what the kernel says
/// then is dealt with by the pager.
public struct Resolution: Sendable {
    enum Action: Sendable {
        case copy(source: UInt, byteCount: Int)
        case move(source: UInt, byteCount: Int)
        case mapExisting
        case unprotect
        case zero
        case poison
        case retry(after: Duration)
    }

    enum Owner: Sendable {
        case buffer(PageBufferStorage)
        case source(PageSource)
        case none
    }

    /// Whether a fault of this kind ends with it. A thread whose page is there, but is to be mapped or unprotected, is not
    /// helped by contents.
    func answers(_ kind: Fault.Kind) -> Bool {
        switch (action, kind) {
        case (.retry, _), (.unprotect, .writeProtect): true
        case (_, .writeProtect), (.unprotect, _): false
        case (.mapExisting, _), (.poison, _): true
        case (_, let kind): kind == .missing
        }
    }

    /// The ioctl that the answer needs.
    var neededOperation: Operations? {
        switch action {
        case .copy: .copy
        case .move: .move
        case .mapExisting: .mapExisting
        case .unprotect: .writeProtect
        case .zero, .poison, .retry: nil
        }
    }

    /// The bytes that it takes from elsewhere.
    var sourceBytes: AddressRange? {
        switch action {
        case .copy(let source, let byteCount), .move(let source, let byteCount):
            AddressRange(start: source, byteCount: byteCount)
        case .mapExisting, .unprotect, .zero, .poison, .retry: nil
        }
    }

    let action: Action
    /// What the bytes to copy lie in, kept until they are installed.
    let owner: Owner
    /// The part of the request that is answered; nil for the whole.
    private(set) var range: AddressRange?
    /// Whether the pages are to be write-protected as they are installed.
    private(set) var isWriteProtected = false

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

    /// The pages of `buffer` themselves become the pages of the region, without being copied (`UFFDIO_MOVE`, 6.8). Private
    /// anonymous memory only.
    public static func move(_ buffer: consuming PageBuffer) -> Resolution {
        let byteCount = buffer.byteCount
        let storage = buffer.take()
        return Resolution(
            .move(source: storage.mapping.address, byteCount: byteCount), owner: .buffer(storage))
    }

    /// The pages are in the memory's page cache already, put there through another mapping of it: they are mapped
    /// (`UFFDIO_CONTINUE`, 5.13). ``SharedMemory`` only.
    public static let mapExisting = Resolution(.mapExisting)

    /// The pages may be written from now on (`UFFDIO_WRITEPROTECT` without its mode): the answer to a request of kind
    /// `writeProtect`.
    public static let unprotect = Resolution(.unprotect)

    /// What the handlers of this library answer when the page is there already: it is mapped, or may be written.
    static func withoutContents(_ request: FaultRequest) -> Resolution {
        request.kind == .writeProtect ? .unprotect : .mapExisting
    }

    /// The same answer with the pages write-protected as they are installed: the first write to one brings a request of
    /// kind `writeProtect`. For copies and existing pages, in a region whose modes include it.
    public func writeProtected() -> Resolution {
        var answer = self
        answer.isWriteProtected = true
        return answer
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
