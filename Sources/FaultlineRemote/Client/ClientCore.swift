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
