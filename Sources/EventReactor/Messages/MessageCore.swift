import Synchronization

/// What a message socket is on the loop thread.
///
/// `@unchecked Sendable`: only the loop thread touches its variables; after the loop's end whoever drains it does.
final class MessageCore: ShutdownParticipant, ReadinessHandler, @unchecked Sendable {
    let loop: LoopState
    let kind: SocketKind
    let descriptor: CInt
    private let messagesPerTurn: Int
    private var source: DescriptorSource?
    private(set) var closedBecause: ReactorError?
    /// For whoever lets go of a socket that is closed already: nothing to be done on the loop then.
    let isClosed = Atomic(false)

    // Receiving
    var reader: MessageReceiver?
    /// What every further reading gets.
    var inputEnd: Result<MessageSocket.Message?, ReactorError>?

    // Sending
    var senders = OperationQueue<MessageSender>()
    var isFinishing = false
    private(set) var outputFailure: ReactorError?

    /// The turn in which messages were last moved, and how many.
    private var budgetTurn: UInt64 = 0
    private var received = 0
    private var sent = 0

    /// Takes over a socket. If this throws, the socket is still the caller's.
    init(
        _ loop: LoopState, _ descriptor: CInt, _ kind: SocketKind, _ options: MessageSocket.Options
    ) throws(ReactorError) {
        self.loop = loop
        self.kind = kind
        self.descriptor = descriptor
        messagesPerTurn = max(1, options.messagesPerTurn)
        source = try loop.addDescriptor(
            descriptor, name: options.name, interest: [.readable, .writable], enabled: false, handler: self)
        loop.participants[ObjectIdentifier(self)] = self
    }

    // MARK: Readiness

    func descriptorReady(_ readiness: Readiness) {
        // Watched until nobody waited once: a task that receives and waits again then costs no system call.
        if readiness.contains(.readable) {
            if reader == nil { source?.disable(.readable) } else { serveReader() }
        }
        if readiness.contains(.writable) {
            if senders.isEmpty { source?.disable(.writable) } else { serveSenders() }
        }
    }

    func watch(_ readiness: Readiness) throws(ReactorError) { try source?.enable(readiness) }

    /// Whether one message more may be received, or sent, in this turn.
    func mayMove(_ direction: Readiness) -> Bool {
        let turn = loop.statistics.turns
        if budgetTurn != turn {
            budgetTurn = turn
            received = 0
            sent = 0
        }
        if direction == .readable {
            received += 1
            return received <= messagesPerTurn
        }
        sent += 1
        return sent <= messagesPerTurn
    }

    // MARK: Ends

    /// Lets those who wait to send go with `error`, and those who come.
    func failOutput(_ error: ReactorError) {
        if outputFailure == nil { outputFailure = error }
        while let sender = senders.popFirst() { sender.finish(.failure(error)) }
    }

    func finishSending() {
        isFinishing = true
        finishIfTold()
    }

    /// Half-closes once nobody waits to send.
    func finishIfTold() {
        guard isFinishing, senders.isEmpty, closedBecause == nil else { return }
        // Fails only when the peer is gone, which receiving tells.
        _ = SocketCall.finishWriting(descriptor)
    }

    func reactorShutsDown() { close(.shutDown) }

    /// Closes the socket, and lets everybody who waits go with `reason`. Further calls have no effect.
    func close(_ reason: ReactorError) {
        guard closedBecause == nil else { return }
        closedBecause = reason
        isClosed.store(true, ordering: .relaxed)
        loop.participants[ObjectIdentifier(self)] = nil
        source?.cancel()
        source = nil
        SocketCall.close(descriptor)
        failOutput(reason)
        reader?.finish(.failure(reason))
        reader = nil
    }
}
