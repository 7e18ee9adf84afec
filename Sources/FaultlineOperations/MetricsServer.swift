public import EventReactor

/// Gives out a page over HTTP/1.1, on a reactor: for Prometheus, curl and the like.
///
/// It answers `GET` and `HEAD` of one path, `/metrics` if nothing else is said, and refuses all else; each connection is closed
/// after its answer. There is no encryption and no authentication: listen on a loopback address or a UNIX socket, or where
/// only those reach it who may.
///
/// ```swift
/// let server = try await MetricsServer.start(on: reactor, at: .ipv4("127.0.0.1", port: 9400)) {
///     var page = MetricsPage()
///     page.add(await pager.statistics, pager: "guest")
///     return page
/// }
/// ```
///
/// Any thread may call everything here.
public final class MetricsServer: Sendable {
    /// Bounds on what a peer may ask for, and how long it may take.
    public struct Options: Hashable, Sendable {
        /// The path of the page.
        public var path = "/metrics"
        /// The most connections that are served at a time; more wait for their turn.
        public var connectionLimit = 16
        /// How long a peer may take to ask, and to take its answer.
        public var patience = Duration.seconds(10)
        /// The most bytes of a request's head.
        public var headLimit = 8 * 1024

        /// The defaults.
        public init() {}
    }

    private let listener: Listener
    private let serving: Task<Void, Never>

    private init(_ listener: Listener, _ serving: Task<Void, Never>) {
        self.listener = listener
        self.serving = serving
    }

    deinit { serving.cancel() }

    /// Where it listens; with the port that the system chose, if that was left to it.
    public var address: SocketAddress { listener.address }

    /// Listens, and serves until ``close()``, or until the last reference goes.
    ///
    /// - Parameters:
    ///   - reactor: where connections are served.
    ///   - address: where to listen.
    ///   - options: bounds.
    ///   - page: makes the page, anew for each request, in a task on the reactor's thread: it must not block, nor touch a
    ///     registered page.
    /// - Throws: `ReactorError` when the address cannot be had.
    public static func start(
        on reactor: Reactor, at address: SocketAddress, _ options: Options = Options(),
        page: @escaping @Sendable () async -> MetricsPage
    ) async throws(ReactorError) -> MetricsServer {
        let listener = try await reactor.listen(on: address)
        let service = MetricsService(reactor: reactor, options: options, page: page)
        let serving = Task(executorPreference: reactor) { await service.run(listener) }
        return MetricsServer(listener, serving)
    }

    /// Stops listening, and ends what is being served. Returns when that is done.
    public func close() async {
        await listener.close()
        serving.cancel()
        await serving.value
    }
}

/// The serving side.
struct MetricsService: Sendable {
    let reactor: Reactor
    let options: MetricsServer.Options
    let page: @Sendable () async -> MetricsPage

    func run(_ listener: Listener) async {
        // Cancelling the task that runs this cancels those of the connections.
        await withTaskGroup(of: Void.self) { tasks in
            var count = 0
            while let connection = try? await listener.accept() {
                tasks.addTask(executorPreference: reactor) { await serve(connection) }
                count += 1
                // The next one waits in the listener's queue.
                if count >= max(options.connectionLimit, 1) {
                    await tasks.next()
                    count -= 1
                }
            }
        }
    }

    /// One request, and its answer.
    private func serve(_ connection: Connection) async {
        await withTaskGroup(of: Void.self) { tasks in
            tasks.addTask(executorPreference: reactor) {
                // Whatever goes wrong with a peer is the peer's.
                try? await answer(connection)
            }
            tasks.addTask(executorPreference: reactor) {
                try? await reactor.sleep(for: options.patience)
            }
            // The first one to end ends the other.
            await tasks.next()
            tasks.cancelAll()
        }
        await connection.close()
    }

    private func answer(_ connection: Connection) async throws(ReactorError) {
        let head: HTTPRequestHead
        switch try await HTTPRequestHead.read(from: connection, limit: options.headLimit) {
        case .success(let read): head = read
        case .failure(let refusal):
            return try await connection.finish(HTTPAnswer(refusal.status, refusal.text + "\n"))
        }
        guard head.path == options.path else { return try await connection.finish(HTTPAnswer(.notFound)) }
        guard head.method == "GET" || head.method == "HEAD" else {
            return try await connection.finish(HTTPAnswer(.methodNotAllowed))
        }
        var answer = HTTPAnswer(.ok, await page().text, type: "text/plain; version=0.0.4; charset=utf-8")
        answer.hasBody = head.method == "GET"
        try await connection.finish(answer)
    }
}

extension Connection {
    fileprivate func finish(_ answer: HTTPAnswer) async throws(ReactorError) {
        try await write(answer.bytes)
        try await finishWriting()
        // What the peer may still be sending is taken, so that the answer is not lost in a reset.
        while try await !read().isEmpty {}
    }
}
