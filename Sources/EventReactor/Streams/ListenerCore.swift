import Synchronization

/// What a listener is on the loop thread.
///
/// `@unchecked Sendable`: only the loop thread touches its variables; after the loop's end whoever drains it does.
final class ListenerCore: ShutdownParticipant, EndOfTurnWork, TimerHandler, @unchecked Sendable {
    /// Why no connections are accepted at present.
    private struct Pauses: OptionSet {
        let rawValue: UInt8
        static let full = Pauses(rawValue: 1)
        static let turnIsSpent = Pauses(rawValue: 2)
        static let failure = Pauses(rawValue: 4)
    }

    private static let firstDelay = Duration.milliseconds(10)
    private static let longestDelay = Duration.seconds(1)

    let loop: LoopState
    let options: Listener.Options
    let isLocal: Bool
    private let descriptor: CInt
    private let file: SocketFile?
    private var listener: ConnectionListener?
    private(set) var closedBecause: ReactorError?
    /// As a connection's.
    let isClosed = Atomic(false)
    private var pending: [CInt] = []
    private var acceptors = OperationQueue<AcceptOperation>()
    private var pauses: Pauses = []
    private var acceptedThisTurn = 0
    private var delay = ListenerCore.firstDelay
    private var timer = TimerID.none
    private(set) var failureCount = 0
    private(set) var refusalCount = 0

    /// Takes over a bound socket. If this throws, the socket is still the caller's.
    init(
        _ loop: LoopState, _ descriptor: CInt, isLocal: Bool, file: SocketFile?, _ options: Listener.Options
    ) throws(ReactorError) {
        self.loop = loop
        self.options = options
        self.isLocal = isLocal
        self.descriptor = descriptor
        self.file = file
        listener = try ConnectionListener(
            loop.base, descriptor, backlog: CInt(clamping: options.backlog), core: self)
        loop.participants[ObjectIdentifier(self)] = self
    }

    var pendingCount: Int { pending.count }

    // MARK: Accepting

    func accepted(_ descriptor: CInt) {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        delay = Self.firstDelay
        if acceptedThisTurn == 0 { loop.scheduleEndOfTurn(self) }
        acceptedThisTurn += 1
        if acceptedThisTurn >= max(1, options.acceptedPerTurn) { pause(.turnIsSpent) }
        guard isPermitted(descriptor) else { return SocketCall.close(descriptor) }
        if let acceptor = acceptors.popFirst() {
            acceptor.receive(descriptor)
        } else {
            pending.append(descriptor)
            if pending.count >= max(1, options.pendingLimit) { pause(.full) }
        }
    }

    /// Asks the policy, before anybody reads a byte.
    private func isPermitted(_ descriptor: CInt) -> Bool {
        guard let policy = options.peerPolicy else { return true }
        let credentials = SocketCall.peerCredentials(descriptor)
        if let credentials, policy.permits(credentials) { return true }
        refusalCount += 1
        options.onRefusal?(Listener.Refusal(credentials: credentials))
        return false
    }

    func endOfTurn() {
        acceptedThisTurn = 0
        resume(.turnIsSpent)
    }

    func acceptFailed(_ systemError: CInt) {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        failureCount += 1
        // The connection stays in the backlog and the socket readable: without a pause this would be a hot loop.
        pause(.failure)
        timer = loop.startTimer(deadline: loop.deadline(after: delay), self)
        delay = min(delay * 2, Self.longestDelay)
        options.onFailure?(ReactorError(socket: "accept4", systemError))
    }

    func timerFired(_ id: TimerID) { resume(.failure) }

    private func pause(_ reason: Pauses) {
        if pauses.isEmpty { listener?.disable() }
        pauses.insert(reason)
    }

    private func resume(_ reason: Pauses) {
        guard pauses.contains(reason) else { return }
        pauses.remove(reason)
        if pauses.isEmpty { listener?.enable() }
    }

    // MARK: Taking

    /// The oldest connection that nobody has taken yet.
    func takePending() -> CInt? {
        guard !pending.isEmpty else { return nil }
        let descriptor = pending.removeFirst()
        if pending.count <= options.pendingLimit / 2 { resume(.full) }
        return descriptor
    }

    func append(_ acceptor: AcceptOperation) { acceptors.append(acceptor) }

    func remove(_ acceptor: AcceptOperation) { acceptors.remove(acceptor) }

    // MARK: Closing

    func reactorShutsDown() { close(.shutDown) }

    /// Closes the socket and what nobody has taken; lets everybody who waits go with `reason`.
    func close(_ reason: ReactorError) {
        guard closedBecause == nil else { return }
        closedBecause = reason
        isClosed.store(true, ordering: .relaxed)
        loop.participants[ObjectIdentifier(self)] = nil
        _ = loop.cancelTimer(timer)
        listener?.free()
        listener = nil
        // The file first: whoever finds it may connect.
        file?.remove()
        SocketCall.close(descriptor)
        for descriptor in pending { SocketCall.close(descriptor) }
        pending = []
        while let acceptor = acceptors.popFirst() { acceptor.finish(.failure(reason)) }
    }
}

/// Takes a socket, or waits for one.
///
/// `@unchecked Sendable`: as the class above it; its own properties are constants.
final class AcceptOperation: LoopOperation<AcceptOperation.Accepted>, @unchecked Sendable {
    /// What becomes of a socket.
    enum Wanted {
        case connection
        case messages(MessageSocket.Options)
        case direct
    }

    enum Accepted {
        case connection(Connection)
        case messages(MessageSocket)
        case direct(DirectStream)
    }

    private let listener: Listener
    private let wanted: Wanted

    init(_ listener: Listener, _ wanted: Wanted) {
        self.listener = listener
        self.wanted = wanted
        super.init(on: listener.core.loop)
    }

    override func begin() {
        if let result = listener.takeNow(wanted) { finish(result) } else { listener.core.append(self) }
    }

    override func abandon() { listener.core.remove(self) }

    func receive(_ descriptor: CInt) { finish(listener.make(wanted, of: descriptor)) }
}
