import CheckpointImages
import EventReactor

/// The client of a page server: asks for pages over one connection, those that somebody waits for first.
///
/// What is asked for cannot be taken back, and answers come in the order of the requests. So only few requests that nobody
/// waits for are under way at a time, and they are short while there are faults.
///
/// Conditions are looked at where a continuation is put down, since what comes before that is another job of the actor.
actor PageServer {
    /// Some pages of an answer.
    struct Pages: Sendable {
        var count: Int
        var bytes: [UInt8]
    }

    struct Request {
        var frame: PageFrame
        let isUrgent: Bool
        let continuation: CheckedContinuation<Pages, any Error>
    }

    let reactor: Reactor
    nonisolated var unownedExecutor: UnownedSerialExecutor { reactor.asUnownedSerialExecutor() }
    let connection: Connection
    let pageSize: Int
    /// How long the server may take for an answer.
    let patience: Duration
    private var urgent = Queue<Request>()
    private var background = Queue<Request>()
    /// Sent and not answered, the oldest first.
    var underWay = Queue<Request>()
    private var backgroundUnderWay = 0
    /// The most pages of the next request that nobody waits for.
    private var backgroundPages = leastPages
    /// Those who wait until there is something to do.
    private var sender: CheckedContinuation<Void, Never>?
    var receiver: CheckedContinuation<Void, Never>?
    var drained: CheckedContinuation<Void, Never>?
    var lastProgress = ContinuousClock.now
    private(set) var failure: LazyPagesError?
    private var tasks: [Task<Void, Never>] = []

    private static let leastPages = 16
    private static let mostPages = 1024
    private static let mostBackground = 2
    private static let mostUnderWay = 64

    init(_ connection: Connection, pageSize: Int, patience: Duration) {
        reactor = connection.reactor
        self.connection = connection
        self.pageSize = pageSize
        self.patience = patience
    }

    /// Begins to ask. Once.
    func start() {
        tasks = [
            Task { await self.send() }, Task { await self.receive() }, Task { await self.watch() },
        ]
    }

    /// Asks for pages, and returns the first of them: as many as the server gave.
    ///
    /// - Throws: ``LazyPagesError`` when the server is gone or answers nonsense: then all who ask are told.
    func pages(of processID: Int32, at address: UInt64, count: Int, isUrgent: Bool) async throws -> Pages {
        let frame = PageFrame(
            .get, pageCount: UInt64(count), address: address, processID: UInt64(processID))
        return try await withCheckedThrowingContinuation { continuation in
            if let failure { return continuation.resume(throwing: failure) }
            let request = Request(frame: frame, isUrgent: isUrgent, continuation: continuation)
            if isUrgent {
                urgent.append(request)
                backgroundPages = Self.leastPages
            } else {
                background.append(request)
            }
            wake(&sender)
        }
    }

    /// Tells the server that this was all, and waits for its status. Nobody may ask any more.
    ///
    /// - Parameter forced: whether the server is to end.
    /// - Throws: ``LazyPagesError`` when it does not answer.
    func close(forced: Bool) async throws -> Int32 {
        // Nobody waits any more for what is left here: those processes are gone.
        dropUnsent(LazyPagesError(.pageServerLost, "the pages are not needed any more"))
        await withCheckedContinuation { continuation in
            if failure != nil || underWay.isEmpty { continuation.resume() } else { drained = continuation }
        }
        if let failure { throw failure }
        do {
            let status = try await connection.status(after: forced ? .forceClose : .close, within: patience)
            await end()
            return status
        } catch {
            await end()
            throw LazyPagesError(.pageServerLost, "the page server does not say how it ended: \(error)")
        }
    }

    /// Closes the connection. Whoever still asks is told.
    func end() async {
        fail(LazyPagesError(.pageServerLost, "the connection to the page server has been closed"))
        await connection.close()
    }

    // MARK: Sending

    private func send() async {
        while failure == nil {
            guard let frame = takeNext() else {
                await withCheckedContinuation { continuation in
                    if failure != nil || canSend { continuation.resume() } else { sender = continuation }
                }
                continue
            }
            do {
                try await connection.write(frame.encoded)
            } catch {
                fail(LazyPagesError(.pageServerLost, "the page server is gone: \(error)"))
            }
        }
    }

    private var canSend: Bool {
        guard underWay.count < Self.mostUnderWay else { return false }
        return !urgent.isEmpty || !background.isEmpty && backgroundUnderWay < Self.mostBackground
    }

    private func takeNext() -> PageFrame? {
        guard canSend else { return nil }
        var next = urgent.popFirst()
        if next == nil {
            next = background.popFirst()
            if next != nil { backgroundUnderWay += 1 }
        }
        guard var request = next else { return nil }
        if !request.isUrgent {
            request.frame.pageCount = min(request.frame.pageCount, UInt64(backgroundPages))
            backgroundPages = min(backgroundPages + Self.leastPages, Self.mostPages)
        }
        if underWay.isEmpty { lastProgress = .now }
        underWay.append(request)
        wake(&receiver)
        return request.frame
    }

    // MARK: Answers

    /// The oldest request has its answer.
    func answered(_ pages: Pages) {
        guard let request = underWay.popFirst() else { return }
        lastProgress = .now
        if !request.isUrgent { backgroundUnderWay -= 1 }
        request.continuation.resume(returning: pages)
        wake(&sender)
        if underWay.isEmpty { wake(&drained) }
    }

    /// Whatever is asked from now on, and was asked before, comes to nothing.
    func fail(_ error: LazyPagesError) {
        guard failure == nil else { return }
        failure = error
        while let request = underWay.popFirst() { request.continuation.resume(throwing: error) }
        dropUnsent(error)
        wake(&sender)
        wake(&receiver)
        wake(&drained)
        for task in tasks { task.cancel() }
        tasks = []
    }

    private func dropUnsent(_ error: LazyPagesError) {
        while let request = urgent.popFirst() { request.continuation.resume(throwing: error) }
        while let request = background.popFirst() { request.continuation.resume(throwing: error) }
    }

    private func wake(_ waiter: inout CheckedContinuation<Void, Never>?) {
        let continuation = waiter
        waiter = nil
        continuation?.resume()
    }
}
