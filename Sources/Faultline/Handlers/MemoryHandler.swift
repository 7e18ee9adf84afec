internal import Userfault

/// Pages from bytes that are in memory already: an image that was read, made or mapped before.
///
/// Pages are copied from where the bytes lie, at once, without a task. What lies behind the end of the bytes is zero.
public struct MemoryHandler: FaultHandler {
    /// The bytes.
    public let source: PageSource
    /// Where in the bytes the region begins, in bytes.
    public let baseOffset: Int

    /// A handler for the bytes of `source` from `baseOffset` on. Any thread; neither blocks nor allocates.
    ///
    /// - Parameters:
    ///   - source: the bytes, which must not lie in a registered range of the same reactor.
    ///   - baseOffset: where in them the region begins, in bytes; need not be a multiple of the page size.
    /// - Precondition: `baseOffset` is not negative.
    public init(_ source: PageSource, startingAt baseOffset: Int = 0) {
        precondition(baseOffset >= 0)
        self.source = source
        self.baseOffset = baseOffset
    }

    /// The bytes where they lie; for a request that reaches past their end, a copy filled up with zeroes. The
    /// reactor's thread; does not block.
    ///
    /// - Throws: ``SystemFailure`` when there is no memory for that copy.
    public func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        guard request.kind == .missing else { return .withoutContents(request) }
        let offset = baseOffset + request.offset
        let available = source.byteCount - offset
        if available >= request.byteCount { return .copy(from: source, at: offset) }
        if available <= 0 { return .zero }
        var buffer = try request.makeBuffer()
        buffer.copy(source.mapping, offset..<offset + available)
        return .copy(buffer)
    }

    /// As ``resolveNow(_:)``.
    public func resolve(_ request: FaultRequest) async throws -> Resolution {
        try resolveNow(request) ?? .zero
    }
}
