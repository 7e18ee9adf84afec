internal import EventReactor
internal import Faultline

/// A connection of a client, on the loop's thread.
///
/// Requests wait in two lanes, urgent and bulk. What is answered goes into the output, urgent answers first, and bulk ones only
/// while little is there: an urgent answer waits behind at most that.
///
/// `@unchecked Sendable`: only the loop thread touches its variables.
final class ServerConnection: @unchecked Sendable {
    enum Phase { case hello, proof, waiting, serving, finishing, refused, closed }

    /// Requests of a class, and what stores have answered to some.
    struct Lane {
        var answers = FIFO<(FrameHeader, Answer)>()
        /// Reads that have not been begun.
        var requests = FIFO<FrameHeader>()
    }

    enum Answer: Sendable {
        case bytes(PageMemory, Int)
        case failure(WireStatus, String)
        case done
    }

    static let outputMark = 256 << 10
    static let bulkMark = 64 << 10
    static let sendMark = 16 << 10
    /// Reads of one connection that a store which must be waited for works on at a time.
    static let readWidth = 64
    /// How long a client has to take notice that it is refused.
    static let refusalTime = Duration.seconds(1)

    let core: ServerCore
    let input: FrameBuffer
    let output: FrameBuffer
    var stream: DirectStream?
    var phase = Phase.hello
    var handshake: ServerHandshake?
    var client: ServerCore.Client?
    var export: PageServer.Export?

    var urgent = Lane()
    var bulk = Lane()
    /// Requests that are received and not answered, and the bytes they hold or will.
    var heldRequests = 0
    var heldByteCount = 0
    /// Of those, what stores work on.
    var operations = 0
    var reads = 0

    var timer = TimerID.none
    var receivedByteCount = 0
    var sentByteCount = 0
    private var lastProgress = (received: 0, sent: 0)
    /// How often in a row nothing had moved.
    private var stallCount = 0
    private static let stallsAllowed = 4

    /// Nil when there is no memory; the stream is still the caller's then.
    init?(_ core: ServerCore, _ stream: DirectStream) {
        self.core = core
        guard let input = try? FrameBuffer(capacity: 4096), let output = try? FrameBuffer(capacity: 4096)
        else {
            return nil
        }
        self.input = input
        self.output = output
        self.stream = stream
    }

    var isServing: Bool { phase == .serving || phase == .finishing }

    func start() {
        timer = core.reactor.startTimer(after: core.options.handshakeTimeout, self)
        stream?.start(self)
    }

    /// Ends the connection for what its client did.
    func cutOff(_ error: RemoteError) {
        guard phase != .closed else { return }
        core.statistics.cutOff += 1
        core.options.onEvent?(.cutOff(error))
        close()
    }

    /// Receives nothing more, and closes once everything is answered and sent.
    func finish() {
        guard phase == .serving else { return close() }
        phase = .finishing
        stream?.isReading = false
        closeIfFinished()
    }

    func closeIfFinished() {
        if phase == .finishing, heldRequests == 0, output.count == 0 { close() }
    }

    /// Further calls have no effect. What stores work on goes on; nobody hears of it.
    func close() {
        guard phase != .closed else { return }
        if isServing { core.options.onEvent?(.disconnected) }
        phase = .closed
        core.reactor.cancelTimer(timer)
        stream?.close()
        stream = nil
        urgent = Lane()
        bulk = Lane()
        core.closed(self, operations: operations)
    }
}

extension ServerConnection: TimerHandler {
    func watchProgress() {
        timer = core.reactor.startTimer(after: core.options.stallTimeout / Self.stallsAllowed, self)
    }

    func timerFired(_ id: TimerID) {
        guard isServing else {
            // Its former connections are not done yet, so the client tries again; or it has been told that it is not wanted.
            if phase == .waiting || phase == .refused { return close() }
            return cutOff(
                RemoteError(
                    .timedOut, "a client did not finish the handshake in \(core.options.handshakeTimeout)"))
        }
        let isSendStuck = output.count > 0 && sentByteCount == lastProgress.sent
        let isReceiveStuck =
            input.count > 0 && receivedByteCount == lastProgress.received && stream?.isReading == true
        stallCount = isSendStuck || isReceiveStuck ? stallCount + 1 : 0
        if stallCount > Self.stallsAllowed {
            let what = isSendStuck ? "takes none of its answers" : "does not send the rest of a frame"
            return cutOff(
                RemoteError(.timedOut, "a client \(what) for \(core.options.stallTimeout); it was cut off"))
        }
        lastProgress = (receivedByteCount, sentByteCount)
        watchProgress()
    }
}
