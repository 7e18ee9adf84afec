internal import Userfault

/// Pages from any store: what joins it to the pager.
///
/// What the store has at hand is answered at once, from where it lies; everything else is read into the buffer that the
/// kernel copies from. What threads write to the region stays in the region.
public struct StoreHandler<Store: PageStore>: FaultHandler {
    /// The store.
    public let store: Store
    /// Where in the store the region begins, in bytes.
    public let baseOffset: Int

    /// A handler for the bytes of `store` from `baseOffset` on. Any thread; neither blocks nor allocates.
    ///
    /// - Parameters:
    ///   - store: where the pages come from.
    ///   - baseOffset: where in it the region begins, in bytes.
    /// - Precondition: `baseOffset` is not negative.
    public init(_ store: Store, startingAt baseOffset: Int = 0) {
        precondition(baseOffset >= 0)
        self.store = store
        self.baseOffset = baseOffset
    }

    /// The bytes where they lie, if the store has them at hand. The reactor's thread; does not block.
    ///
    /// - Throws: what ``PageStore/readNow(_:)`` throws.
    public func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        guard request.kind == .missing else { return .withoutContents(request) }
        let start = baseOffset + request.offset
        guard start < store.byteCount else { return .zero }
        return switch try store.readNow(start..<start + request.byteCount) {
        case .bytes(let source, let offset): .copy(from: source, at: offset)
        case .zero: .zero
        case nil: nil
        }
    }

    /// Reads the pages into a buffer, and suspends until that is done.
    ///
    /// - Throws: what ``PageStore/read(_:)`` throws, or ``SystemFailure`` when there is no memory for a buffer.
    public func resolve(_ request: FaultRequest) async throws -> Resolution {
        var buffer = try request.makeBuffer()
        try await buffer.read(from: store, at: baseOffset + request.offset)
        return .copy(buffer)
    }
}
