import Synchronization

/// What a connection is on the loop thread.
///
/// Libevent's callbacks come here, and the operations of ``Connection``. Resuming a task only queues a job, so
/// nothing comes back in while a method runs.
///
/// `@unchecked Sendable`: only the loop thread touches its variables; after the loop's end whoever drains it does.
final class ConnectionCore: ShutdownParticipant, @unchecked Sendable {
    let loop: LoopState
    let options: Connection.Options
    let descriptor: CInt
    /// Both are `nil` once closed.
    var stream: Bufferevent?
    private(set) var closedBecause: ReactorError?
    /// For whoever lets go of a connection that is closed already: nothing to be done on the loop then.
    let isClosed = Atomic(false)

    // Connecting
    var connector: ConnectOperation?

    // Reading
    var reader: ReadOperation?
    /// What follows the bytes that are in the buffer: an end, or an error.
    var inputEnd: InputEnd?
    /// Reading from the socket stops at this many bytes in the buffer.
    var inputMark: Int
    var isReadingPaused = false

    enum InputEnd {
        case endOfStream
        case failed(ReactorError)
    }

    // Writing
    var output: OutputBuffer?
    var outputEvent: LibeventEvent?
    var outputCount = 0
    var isWaitingToSend = false
    /// The program finished its writing; the peer is told once the buffer is empty.
    var isFinishing = false
    var isFinished = false
    var outputFailure: ReactorError?
    var writers = OperationQueue<WriteOperation>()
    var flushers = OperationQueue<FlushOperation>()
    /// The turn in which the budget was last spent, and how much of it.
    var sendingTurn: UInt64 = 0
    var sentThisTurn = 0

    /// Takes over a socket. If this throws, the socket is still the caller's.
    init(_ loop: LoopState, _ descriptor: CInt, _ options: Connection.Options) throws(ReactorError) {
        self.loop = loop
        self.options = options
        self.descriptor = descriptor
        inputMark = max(1, options.inputLimit)
        guard loop.phase == .running else { throw .shutDown }
        SocketCall.configure(descriptor, options)
        let stream = try Bufferevent(loop.base, descriptor, core: self)
        stream.setReadsPerTurn(max(1, options.readPerTurn))
        self.stream = stream
        loop.participants[ObjectIdentifier(self)] = self
    }

    func reactorShutsDown() { close(.shutDown) }

    func streamEvent(_ event: Bufferevent.Event) {
        loop.callbackBegins()
        loop.statistics.callbacks &+= 1
        switch event {
        case .connected:
            connector?.connected()
        case .failed(let systemError):
            let error = ReactorError(socket: connector == nil ? "read" : "connect", systemError)
            if let connector { return connector.failed(error) }
            inputEnd = .failed(error)
            if outputFailure == nil { failOutput(error) }
            serveReader()
        case .endOfStream:
            // The kernel tells of a reset once; if a send was told, reading sees a mere end.
            if let outputFailure, [.connectionReset, .timedOut].contains(outputFailure.code) {
                inputEnd = .failed(outputFailure)
            } else {
                inputEnd = .endOfStream
            }
            serveReader()
        }
    }

    /// Closes the socket, and lets everybody who waits go with `reason`. Further calls have no effect.
    func close(_ reason: ReactorError) {
        guard closedBecause == nil else { return }
        closedBecause = reason
        isClosed.store(true, ordering: .relaxed)
        loop.participants[ObjectIdentifier(self)] = nil
        stream?.free()
        stream = nil
        failOutput(reason)
        SocketCall.close(descriptor)
        connector?.ended(reason)
        connector = nil
        reader?.finish(.failure(reason))
        reader = nil
    }
}
