public import Userfault

/// What becomes of the memory of a forked child, when the pager is told of forks (``AddressSpaceEvents/fork``).
///
/// Only regions that the child inherits count: see ``RegionOptions/isInheritedByFork``.
public struct ForkPolicy: Sendable {
    enum Choice: Sendable {
        case close
        case serve(
            handlerFor: @Sendable (InheritedRegion) -> (any FaultHandler)?,
            onChild: @Sendable (ForkedChild) -> Void)
    }

    let choice: Choice

    /// Nobody serves the child: pages that were missing when it was forked read as zero in it.
    public static let close = ForkPolicy(choice: .close)

    /// The child gets a pager of its own on the same reactor, and so do its children in turn. It starts with what the parent's
    /// knew when it forked: pages that were there are there in the child as well, pages that were not are asked of the
    /// child's handler, at the same ``FaultRequest/offset``.
    ///
    /// The pager stops with ``PagerError/Code/processExited`` when the child has ended, which is noticed within a second or
    /// two; it ends by itself when nothing is left of its regions.
    ///
    /// - Parameters:
    ///   - handlerFor: the handler for a region of the child, or nil for none: what is missing there then raises SIGBUS in
    ///     the child. Runs on the reactor's thread, once for each region: it must not block.
    ///   - onChild: is given the child's pager, on the reactor's thread: it must not block. The parent's pager keeps it as long
    ///     as both are at work; to serve the child beyond the end of the parent's pager, keep it yourself.
    public static func serve(
        handlerFor: @escaping @Sendable (InheritedRegion) -> (any FaultHandler)?,
        onChild: @escaping @Sendable (ForkedChild) -> Void = { _ in }
    ) -> ForkPolicy {
        ForkPolicy(choice: .serve(handlerFor: handlerFor, onChild: onChild))
    }
}

/// A region that a forked child has inherited.
public struct InheritedRegion: Sendable {
    /// The name of the parent's region.
    public let name: String
    /// Its addresses, the same in parent and child. Of a region that has been moved or unmapped in part, a part.
    public let range: AddressRange
    /// What its first page is to the handler, in bytes.
    public let offset: Int
    /// The size of its pages in bytes.
    public let pageSize: Int
    /// What the memory is made of.
    public let memory: MemoryKind
    /// The handler of the parent's region: return it to serve the child from the same source.
    public let handler: any FaultHandler
}

/// A child whose memory is served.
public struct ForkedChild: Sendable {
    /// Serves the child. Wait for its end with ``Pager/waitUntilStopped()``, or end it with ``Pager/shutdown(within:)``.
    public let pager: Pager
    /// The child's regions, in the order of their addresses.
    public let regions: [AdoptedRegion]
}

/// Has nothing to give.
struct RefusingHandler: FaultHandler {
    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        // A page that is there and protected has its contents.
        request.kind == .writeProtect ? .unprotect : .poison
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        request.kind == .writeProtect ? .unprotect : .poison
    }
}
