public import Userfault

/// A run of adjacent pages of one region that threads wait for, with those that are to be filled ahead of them.
///
/// Its properties may be read on any thread; that neither blocks nor allocates. It keeps what the region is made of, its handler
/// included: a handler that stores requests has to let go of them.
public struct FaultRequest: Sendable {
    /// The addresses of the pages, page-aligned.
    public let range: AddressRange
    /// The addresses of the region they belong to.
    public let region: AddressRange
    /// The size of the region's pages in bytes.
    public let pageSize: Int
    /// How often the handler has failed on these pages already: 0 at the first call.
    public let attempt: Int
    /// What the first page of `region` is to the handler, in bytes.
    let baseOffset: Int
    /// The number in `region` of the page from which those of `cause` are counted: the first one of a stripe.
    let firstPage: Int

    let cause: FaultCause
    let pool: PageBufferPool
    /// Set when the request has a task.
    var ticket: RequestTicket?

    /// Why the threads wait: the page is missing, is there but not mapped (minor), or write-protected.
    public var kind: Fault.Kind { cause.kind }
    /// Whether one of them wants to write.
    public var isWrite: Bool { cause.isWrite }
    /// The kernel's id of one of the threads that wait, as gettid(2) gives it; nil unless
    /// ``Pager/Configuration/reportsThreadIDs`` is set.
    public var threadID: UInt32? { cause.threadID }
    /// The part of ``range`` that threads were seen waiting for: all of it, unless the region is filled ahead of its readers
    /// (``ReadAheadPolicy``), and nothing for a prefetch. An answer must cover at least this part; where it leaves other pages
    /// open, they are asked for again when somebody needs them.
    public var demand: AddressRange {
        let first = Int(range.start - region.start) / pageSize - firstPage
        let pages = cause.demand.clamped(to: first..<first + pageCount)
        return AddressRange(
            start: region.start + UInt((firstPage + pages.lowerBound) * pageSize),
            byteCount: pages.count * pageSize)
    }
    /// Where the pages begin in the region's contents, in bytes: from the start of the region, unless an offset was given when
    /// it was adopted.
    public var offset: Int { Int(range.start - region.start) + baseOffset }
    /// The number of bytes to supply.
    public var byteCount: Int { range.byteCount }
    /// The number of pages to supply.
    public var pageCount: Int { range.byteCount / pageSize }

    /// A buffer as long as the request, from the region's pool. Any thread; takes a lock for a moment, and maps memory
    /// only when the pool has none of that size.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory.
    public func makeBuffer() throws(SystemFailure) -> PageBuffer {
        try pool.take(byteCount)
    }

    /// A buffer for a part of the request. Otherwise as ``makeBuffer()``.
    ///
    /// - Parameter byteCount: the length in bytes, a whole number of pages.
    /// - Throws: ``SystemFailure`` when there is no memory.
    /// - Precondition: `byteCount` is a multiple of ``pageSize`` between one page and ``byteCount``.
    public func makeBuffer(byteCount: Int) throws(SystemFailure) -> PageBuffer {
        precondition(byteCount > 0 && byteCount % pageSize == 0 && byteCount <= self.byteCount)
        return try pool.take(byteCount)
    }

    /// Hands in a part of the answer before the rest is known; its threads are let go at the end of the turn. Call it
    /// from ``FaultHandler/resolve(_:)``, on any thread; it suspends the task, elsewhere than on the reactor's thread, until
    /// the part is taken.
    ///
    /// - Parameter part: a resolution with a range of its own (``Resolution/covering(_:)``).
    /// - Throws: ``PagerError`` when the part does not fit the request, the request is over, or it is answered by the
    ///   synchronous entry.
    public func supply(_ part: Resolution) async throws(PagerError) {
        guard let ticket else {
            throw PagerError(.requestIsOver, "only a request with a task can be answered in parts")
        }
        try await ticket.link.supply(part, to: ticket)
    }
}
