import EventReactor
import Faultline
import Userfault

/// Answers every fault of a bounce: pages come from the source, writes to protected pages are let through.
struct BounceHandler: InMemoryHandler {
    /// How it answers.
    enum Style: CaseIterable {
        /// Through the synchronous entry.
        case synchronous
        /// In a task that does not suspend.
        case asynchronous
        /// In a task that suspends, with the bytes in buffers, which are copied or moved.
        case suspending
        /// In a task, page by page, the last one first.
        case inParts
    }

    var source: Source
    var pages: PageSource
    /// Of shared memory.
    var filling: SharedFilling?
    var style: Style
    var movesBuffers: Bool
    var protects: Bool
    var intruder: Intruder

    /// Threads may copy from the source themselves. Shared pages are filled by a handler, and must not be mapped before they
    /// are full.
    var inThreadSource: InThreadSource? { filling == nil ? .bytes(pages) : nil }

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        style == .synchronous ? try answer(request, request.range) : nil
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        switch style {
        case .synchronous, .asynchronous: break
        case .suspending:
            await Task.yield()
            if request.kind == .missing, filling == nil { return try fillBuffer(request) }
        case .inParts: try await supplyParts(of: request)
        }
        return try answer(request, request.range)
    }

    /// The answer for some pages of a request.
    private func answer(_ request: FaultRequest, _ range: AddressRange) throws(Failure) -> Resolution {
        if request.kind == .writeProtect { return .unprotect }
        let offset = Int(range.start - request.region.start)
        if let filling {
            let first = offset / request.pageSize
            let count = range.byteCount / request.pageSize
            let areThere = (first..<first + count).count { filling.fill($0) } == count
            // The thread that fills ahead is at one of them.
            guard areThere else { return .retry(after: .microseconds(50)) }
        }
        let last = AddressRange(start: range.end - UInt(request.pageSize), byteCount: request.pageSize)
        try intruder.maybeInstall(last, from: source.range.start + (last.start - request.region.start))
        let resolution = filling == nil ? Resolution.copy(from: pages, at: offset) : .mapExisting
        // The other half can be written at once.
        let isProtected = protects && (offset / request.pageSize).isMultiple(of: 2)
        return isProtected ? resolution.writeProtected() : resolution
    }

    private func fillBuffer(_ request: FaultRequest) throws -> Resolution {
        var buffer = try request.makeBuffer()
        let offsets = request.offset..<request.offset + request.byteCount
        buffer.withMutableBytes { source.copy(offsets, to: &$0) }
        let moves = movesBuffers && (request.offset / request.pageSize).isMultiple(of: 3)
        if moves { return .move(buffer) }
        return protects ? .copy(buffer).writeProtected() : .copy(buffer)
    }

    private func supplyParts(of request: FaultRequest) async throws {
        guard request.pageCount > 1 else { return }
        for page in (0..<request.pageCount).reversed() {
            let start = request.range.start + UInt(page * request.pageSize)
            let range = AddressRange(start: start, byteCount: request.pageSize)
            // Shared pages that are being filled are left to the answer for the whole.
            if let filling, !filling.fill(Int(start - request.region.start) / request.pageSize) { continue }
            try await request.supply(try answer(request, range).covering(range))
        }
    }
}
