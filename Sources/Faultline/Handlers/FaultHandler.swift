/// Supplies the contents of a region's pages.
///
/// ```swift
/// struct Squares: FaultHandler {
///     func resolve(_ request: FaultRequest) async throws -> Resolution {
///         var pages = try request.makeBuffer()
///         for offset in stride(from: 0, to: request.byteCount, by: 8) {
///             let number = UInt64(request.offset + offset) / 8
///             pages.store(number * number, toByteOffset: offset)
///         }
///         return .copy(pages)
///     }
/// }
/// ```
///
/// ## The one rule
/// A handler must never touch a registered page, nor wait for a lock that a thread can hold while it waits for a page.
/// - *Why*: the thread that would serve that page is the one that runs the handler. It would wait for itself.
/// - *In practice*: read from files, sockets and memory of your own; share state with application threads through
///   structures whose locks are never held across an access to a region. Set
///   `Reactor.Configuration.stallThreshold` in tests and in production: it reports who holds the loop.
/// - *Otherwise*: every thread that waits for a page of this reactor waits for ever.
public protocol FaultHandler: Sendable {
    /// Resolves the pages of `request`.
    ///
    /// Starts on the reactor's thread, at once, and comes back to it after each suspension; other faults, sockets and
    /// timers are served while it is suspended, so it may be called for many requests at a time. Work that blocks or computes for long belongs on other threads, for
    /// example those of a `WorkerPool`. The task is cancelled when the region is unmapped or the pager's deadline for
    /// shutdown passes; an answer that comes later is ignored.
    ///
    /// - Parameter request: the pages that threads wait for.
    /// - Returns: how the whole of `request.range` is to be filled; what was supplied early through
    ///   ``FaultRequest/supply(_:)`` excepted.
    /// - Throws: any error: the region's ``FailurePolicy`` decides what becomes of the threads that wait.
    func resolve(_ request: FaultRequest) async throws -> Resolution

    /// Resolves the pages of `request` without suspending, or returns nil for 'not now': then
    /// ``resolve(_:)`` is called. Runs on the reactor's thread and must not block: nothing else is served meanwhile.
    /// Nothing is allocated for the call. The default returns nil.
    ///
    /// - Parameter request: the pages that threads wait for.
    /// - Throws: any error, which counts as a failure: ``resolve(_:)`` is not called then.
    func resolveNow(_ request: FaultRequest) throws -> Resolution?
}

extension FaultHandler {
    /// 'Not now': every request goes to ``resolve(_:)``.
    public func resolveNow(_ request: FaultRequest) throws -> Resolution? { nil }
}
