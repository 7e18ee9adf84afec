internal import EventReactor
internal import Faultline

/// What a store is on the loop's thread: the connection, and everything that waits for it.
///
/// `@unchecked Sendable`: only the loop thread touches its variables, but for ``perform(_:)`` and what never changes.
final class ClientCore: @unchecked Sendable {
    typealias Part = RemoteCall.Part

    enum Phase: Equatable {
        case connecting, shakingHands
        /// The server is another one than the one that has what was written last: it is being written again.
        case replaying
        case ready
        /// Until the next attempt.
        case pausing
        case closed
    }

    static let inputCapacity = 256 << 10
    static let outputMark = 256 << 10

    let reactor: Reactor
    let address: SocketAddress
    let export: String
    let secret: SharedSecret
    let options: RemoteStore.Options
    /// The same for all connections.
    let client = RandomBytes.make(Hello.identifierByteCount)
    let input: FrameBuffer
    let output: FrameBuffer

    var phase = Phase.connecting
    var stream: DirectStream?
    var handshake: ClientHandshake?
    /// Those of the first connection; the later ones must be no worse.
    var terms: Terms?
    var partLimit = 4096
    let queue: Confined<RequestQueue<Part>>
    /// What is written again, in phase `replaying`.
    var replay: RequestQueue<Part>
    var log = WriteLog<Part>()
    /// Up to which entry of the log a flush that was sent makes everything durable.
    var flushMarks: [UInt64: UInt64] = [:]
    /// The store has asked for a flush itself, to make room.
    var isMakingRoom = false
    /// The server that has all of the log.
    var instance: [UInt8] = []
    /// The server to which the log is written again.
    var replayedInstance: [UInt8] = []
    /// A flush has failed: nobody knows what of the log the server has still.
    var mustReplay = false
    var lastCall: UInt64 = 0
    var statistics = RemoteStore.Statistics()

    var backoff: Backoff
    var pauseTimer = TimerID.none
    var deadlineTimer = TimerID.none
    var patienceTimer = TimerID.none
    var pulseTimer = TimerID.none
    var hasHeard = false
    var isPinged = false
    var hasGivenUp = false
    /// Why new calls fail, once closed.
    var closedBecause: (any Error)?
    /// Who waits for the first connection.
    var firstConnection: Parked<Result<Terms, RemoteError>>?

    init(
        _ reactor: Reactor, _ address: SocketAddress, export: String, _ secret: SharedSecret,
        _ options: RemoteStore.Options
    ) throws(RemoteError) {
        self.reactor = reactor
        self.address = address
        self.export = export
        self.secret = secret
        self.options = options
        backoff = Backoff(first: options.firstPause, limit: options.longestPause)
        let window = RequestQueue<Part>.Window(requests: 1, byteCount: 1, bulkByteCount: 1)
        queue = Confined(RequestQueue(window: window))
        replay = RequestQueue(window: window)
        do throws(SystemFailure) {
            input = try FrameBuffer(capacity: Self.inputCapacity)
            output = try FrameBuffer(capacity: Self.outputMark)
        } catch {
            throw RemoteError(.system, "there is no memory for a connection: \(error)")
        }
    }

    // MARK: Calls

    /// Does a call and suspends until it is done. Any thread.
    nonisolated(nonsending) func perform(_ work: RemoteCall.Work) async throws {
        let call = RemoteCall(work)
        await withTaskCancellationHandler {
            await TaskWaiter.wait(on: reactor) { waiter in
                call.waiter = waiter
                if reactor.isOnLoop { begin(call) } else { reactor.execute { self.begin(call) } }
            }
        } onCancel: {
            if reactor.isOnLoop { cancel(call) } else { reactor.execute { self.cancel(call) } }
        }
        if call.isFinished, let error = call.error { throw error }
    }

    private func begin(_ call: RemoteCall) {
        if call.isCancelled { return call.finish(RemoteError.cancelled()) }
        if let closedBecause { return call.finish(closedBecause) }
        if hasGivenUp { return call.finish(disconnection) }
        lastCall += 1
        call.number = lastCall
        // Not to end before all of it has begun.
        call.remaining = 1
        switch call.work {
        case .read(let pieces):
            let isUrgent = pieces.reduce(0) { $0 + $1.byteCount } <= options.urgentByteCount
            for piece in pieces { add(piece, isUrgent, call) }
        case .write(let memory, let ranges):
            var position = 0
            for range in ranges {
                for part in parts(of: range) {
                    call.remaining += 1
                    let offset = position + part.lowerBound - range.lowerBound
                    queue.value.add(
                        .write, part, isUrgent: false, call: call.number, .write(call, memory, at: offset))
                }
                position += range.count
            }
        case .trim(let ranges):
            for range in ranges where !range.isEmpty {
                call.remaining += 1
                queue.value.add(.trim, range, isUrgent: false, call: call.number, .trim(call))
            }
        case .flush:
            call.remaining += 1
            queue.value.add(.flush, 0..<0, isUrgent: true, call: call.number, .flush(call))
        }
        schedulePump()
        call.end(nil)
    }

    private func add(_ piece: StoreRead, _ isUrgent: Bool, _ call: RemoteCall) {
        // What lies behind the end is zero, and need not be asked for.
        let known = max(min(piece.byteCount, (terms?.byteCount ?? 0) - piece.offset), 0)
        if known < piece.byteCount { piece.zero(from: known) }
        let range = piece.offset..<piece.offset + known
        // What a fault asks for is one part.
        if known == piece.byteCount, range.lowerBound & -partLimit == (range.upperBound - 1) & -partLimit {
            call.remaining += 1
            queue.value.add(.read, range, isUrgent: isUrgent, call: call.number, .read(call, piece))
            return
        }
        for part in parts(of: range) {
            call.remaining += 1
            let target = piece.part(part.lowerBound - piece.offset..<part.upperBound - piece.offset)
            queue.value.add(.read, part, isUrgent: isUrgent, call: call.number, .read(call, target))
        }
    }

    /// The range in parts that one request may carry, cut where all others are.
    private func parts(of range: Range<Int>) -> [Range<Int>] {
        let limit = partLimit
        return range.isEmpty
            ? []
            : stride(from: range.lowerBound / limit * limit, to: range.upperBound, by: limit).map {
                range.clamped(to: $0..<$0 + limit)
            }
    }

    /// How much one request carries at most: a power of two, so that pages are not cut.
    func setPartLimit(_ terms: Terms) {
        let limit = max(min(options.partByteCount, terms.requestByteLimit), 4096)
        partLimit = 1 << (Int.bitWidth - 1 - limit.leadingZeroBitCount)
    }

    private func cancel(_ call: RemoteCall) {
        call.isCancelled = true
        guard call.number != 0, !call.isFinished else { return }
        queue.value.cancel(call: call.number)
        call.finish(RemoteError.cancelled())
    }

    var disconnection: RemoteError {
        RemoteError(
            .disconnected,
            "the page server at \(address) has been away for longer than \(options.patience ?? .zero); start it again"
        )
    }

    /// Fails everything that waits.
    func failAll(_ error: any Error) {
        queue.value.disconnect()
        for request in queue.value.takeWaiting(where: { _ in true }) { request.payload?.call?.finish(error) }
        flushMarks = [:]
        isMakingRoom = false
    }

    var currentStatistics: RemoteStore.Statistics {
        var current = statistics
        current.unflushedByteCount = log.byteCount
        current.pendingRequests = queue.value.waitingCount + queue.value.sentCount
        current.isConnected = phase == .ready
        return current
    }
}
