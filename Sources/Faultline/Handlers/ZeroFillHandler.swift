internal import Userfault

/// Pages that read as zero, like ordinary fresh memory (`UFFDIO_ZEROPAGE`).
///
/// Answers at once; neither blocks nor allocates.
public struct ZeroFillHandler: FaultHandler {
    /// A handler that fills with zeroes.
    public init() {}

    /// Zeroes, at once.
    public func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        request.kind == .missing ? .zero : .withoutContents(request)
    }

    /// Zeroes.
    public func resolve(_ request: FaultRequest) async throws -> Resolution {
        request.kind == .missing ? .zero : .withoutContents(request)
    }
}
