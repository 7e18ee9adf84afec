/// Which request goes next, and what becomes of those that were sent when the connection breaks.
///
/// Pure: no input or output, no clock. Urgent requests go before bulk ones, except that bulk ones are never starved; answers
/// may come in any order. Writes and trims of the same bytes go one after the other: one that overlaps another that is under way
/// waits, with all the bulk requests behind it, so that their order is that in which they were handed in.
package struct RequestQueue<Payload> {
    /// What may be under way at a time.
    package struct Window: Hashable, Sendable {
        package var requests: Int
        package var byteCount: Int
        /// The same for bulk requests: what is left is for urgent ones alone.
        package var bulkRequests: Int
        package var bulkByteCount: Int

        /// - Parameters:
        ///   - requests: all that the server allows.
        ///   - byteCount: as well, in bytes.
        ///   - bulkByteCount: what this end wants of bulk in the way of urgent requests.
        package init(requests: Int, byteCount: Int, bulkByteCount: Int) {
            self.requests = max(requests, 1)
            self.byteCount = byteCount
            bulkRequests = max(requests / 2, 1)
            self.bulkByteCount = min(bulkByteCount, max(byteCount / 2, 1))
        }
    }

    /// After so many urgent requests in a row a bulk one has its turn.
    package static var urgentInRow: Int { 32 }

    package var window: Window
    /// How many bytes of writes may be sent at present: what is acknowledged and not durable is kept, and room for it is limited.
    package var writeRoom = Int.max
    package private(set) var lastNumber: UInt64 = 0
    private var urgent = FIFO<Request<Payload>>()
    private var bulk = FIFO<Request<Payload>>()
    private var sent: [UInt64: Request<Payload>] = [:]
    package private(set) var sentByteCount = 0
    private var sentBulk = 0
    private var sentBulkByteCount = 0
    package private(set) var sentWriteByteCount = 0
    private var inRow = 0

    package init(window: Window) { self.window = window }

    package var waitingCount: Int { urgent.count + bulk.count }
    package var sentCount: Int { sent.count }
    package var isEmpty: Bool { urgent.isEmpty && bulk.isEmpty && sent.isEmpty }

    /// Whether the next bulk request is a write for which there is no room.
    package var waitsForWriteRoom: Bool {
        guard let next = bulk.first, next.kind == .write else { return false }
        return next.byteCount > writeRoom - sentWriteByteCount
    }

    /// Hands in a request, behind those of its class.
    ///
    /// - Returns: its number.
    @discardableResult
    package mutating func add(
        _ kind: Request<Payload>.Kind, _ range: Range<Int>, isUrgent: Bool, call: UInt64, _ payload: Payload
    ) -> UInt64 {
        lastNumber += 1
        let request = Request(
            number: lastNumber, kind: kind, range: range, isUrgent: isUrgent, payload: payload, call: call)
        if isUrgent { urgent.append(request) } else { bulk.append(request) }
        return lastNumber
    }

    /// The request to send next, if one may be sent.
    package mutating func next() -> Request<Payload>? {
        guard sent.count < window.requests else { return nil }
        let isBulkDue = inRow >= Self.urgentInRow
        if isBulkDue, let request = nextBulk() { return request }
        if let request = urgent.first, fits(request, sentByteCount, window.byteCount) {
            _ = urgent.popFirst()
            inRow += 1
            return send(request)
        }
        return isBulkDue ? nil : nextBulk()
    }

    private mutating func nextBulk() -> Request<Payload>? {
        guard let request = bulk.first, sentBulk < window.bulkRequests,
            fits(request, sentByteCount, window.byteCount),
            fits(request, sentBulkByteCount, window.bulkByteCount),
            request.kind != .write || request.byteCount <= writeRoom - sentWriteByteCount,
            !request.isMutation || !overlapsMutation(request.range)
        else { return nil }
        _ = bulk.popFirst()
        inRow = 0
        return send(request)
    }

    /// A request that is larger than the window goes alone.
    private func fits(_ request: Request<Payload>, _ used: Int, _ limit: Int) -> Bool {
        used == 0 || request.byteCount <= limit - used
    }

    private func overlapsMutation(_ range: Range<Int>) -> Bool {
        sentMutations > 0 && sent.values.contains { $0.isMutation && $0.range.overlaps(range) }
    }

    private var sentMutations = 0

    private mutating func send(_ request: Request<Payload>) -> Request<Payload> {
        sent[request.number] = request
        account(request, 1)
        return request
    }

    private mutating func account(_ request: Request<Payload>, _ sign: Int) {
        sentByteCount += sign * request.byteCount
        if request.isMutation { sentMutations += sign }
        if request.kind == .write { sentWriteByteCount += sign * request.byteCount }
        guard !request.isUrgent else { return }
        sentBulk += sign
        sentBulkByteCount += sign * request.byteCount
    }

    /// The request that was sent under a number; nil if there is none.
    package func request(_ number: UInt64) -> Request<Payload>? { sent[number] }

    /// A request has been answered.
    ///
    /// - Returns: nil when none of this number was sent: the server makes things up.
    package mutating func complete(_ number: UInt64) -> Request<Payload>? {
        guard let request = sent.removeValue(forKey: number) else { return nil }
        account(request, -1)
        return request
    }

    /// Nobody waits for the requests of a call any more. Those that were not sent are forgotten. A write that was sent goes on:
    /// whatever comes next must follow it.
    package mutating func cancel(call: UInt64) {
        _ = urgent.remove { $0.call == call }
        _ = bulk.remove { $0.call == call }
        for (number, request) in sent where request.call == call && !request.isMutation {
            sent[number]?.payload = nil
        }
    }

    /// The connection is gone: what was sent will be sent again, before everything else and in the old order. Reads that nobody
    /// waits for are forgotten.
    package mutating func disconnect() {
        let again = sent.values.filter { $0.payload != nil }.sorted { $0.number < $1.number }
        urgent.prepend(again.filter(\.isUrgent))
        bulk.prepend(again.filter { !$0.isUrgent })
        sent = [:]
        (sentByteCount, sentBulk, sentBulkByteCount, sentWriteByteCount, sentMutations) = (0, 0, 0, 0, 0)
        inRow = 0
    }

    /// Takes out everything that fits the description and has not been sent.
    package mutating func takeWaiting(where fits: (Request<Payload>) -> Bool) -> [Request<Payload>] {
        urgent.remove(where: fits) + bulk.remove(where: fits)
    }
}
