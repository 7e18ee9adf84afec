#if Logging || Metrics || ServiceLifecycle
    import EventReactor
    import Faultline
    import FaultlineOperations
    import FaultlineTestKit
    import Testing
    import Userfault

    #if Logging
        import Logging
    #endif
    #if Metrics
        import CoreMetrics
        import Metrics
    #endif
    #if ServiceLifecycle
        import ServiceLifecycle
    #endif

    @Suite(.requiresUserfaultfd, .timeLimit(.minutes(5))) struct AdapterTests {
        private struct Refusing: FaultHandler {
            struct Reason: Error {}
            func resolve(_ request: FaultRequest) async throws -> Resolution { throw Reason() }
        }

        #if Logging
            @Test(.requiresKernelFaults) func `failures are logged, off the reactor's thread`() async throws {
                let (lines, source) = AsyncStream.makeStream(of: String.self)
                let reactor = try Reactor.start()
                var configuration = Pager.Configuration(name: "logged")
                configuration.log(
                    to: Logger(label: "test") { _ in
                        Collecting { line in source.yield((reactor.isOnLoop ? "on loop " : "") + line) }
                    })
                let pager = try await Pager(on: reactor, configuration: configuration)
                let region = try await pager.map(byteCount: SystemPage.size, handler: Refusing())
                let thread = FaultingThread { MemoryProbe.readThroughKernel(region.range.start, count: 1) }
                #expect(await thread.value == nil)
                var iterator = lines.makeAsyncIterator()
                let line = await iterator.next()
                #expect(line == "warning pages could not be supplied logged poisoned")
                await pager.shutdown()
                await reactor.shutdown()
            }

            @Test func `nothing is left of a log when nobody writes to it any more`() async throws {
                final class Token: Sendable {}
                var token: Token? = Token()
                weak let left = token
                var configuration: Pager.Configuration? = Pager.Configuration()
                configuration?.log(
                    to: Logger(label: "test") { [token] _ in Collecting { _ in _ = token } })
                token = nil
                #expect(left != nil && configuration?.onFailure != nil)
                configuration = nil
                while left != nil { await Task.yield() }
            }

            private struct Collecting: LogHandler {
                var metadata: Logger.Metadata = [:]
                var logLevel = Logger.Level.trace
                let receive: @Sendable (String) -> Void

                init(_ receive: @escaping @Sendable (String) -> Void) { self.receive = receive }

                subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                    get { metadata[key] }
                    set { metadata[key] = newValue }
                }

                func log(event: LogEvent) {
                    let pager = event.metadata?["pager"].map { "\($0)" } ?? ""
                    let action = event.metadata?["action"].map { "\($0)" } ?? ""
                    receive("\(event.level) \(event.message) \(pager) \(action)")
                }
            }
        #endif

        #if ServiceLifecycle
            @Test func `a pager is a service that ends what is in flight`() async throws {
                let reactor = try Reactor.start()
                let pager = try await Pager(on: reactor)
                let (asked, isAsked) = AsyncStream.makeStream(of: Void.self)
                let gate = AsyncStream.makeStream(of: Void.self)
                let handler = Waiting(asked: isAsked, gate: gate.stream)
                let region = try await pager.map(byteCount: SystemPage.size, handler: handler)
                let thread = FaultingThread { region.load(fromByteOffset: 0, as: UInt8.self) }
                var iterator = asked.makeAsyncIterator()
                await iterator.next()
                let logger = Logger(label: "group")
                let group = ServiceGroup(
                    services: [PagerService(pager, shutdownWithin: .seconds(200))], logger: logger)
                async let running: Void = group.run()
                await group.triggerGracefulShutdown()
                while await pager.isServing { await Task.yield() }
                gate.continuation.yield()
                #expect(await thread.value == 0)
                try await running
                await reactor.shutdown()
            }

            private struct Waiting: FaultHandler {
                let asked: AsyncStream<Void>.Continuation
                let gate: AsyncStream<Void>

                func resolve(_ request: FaultRequest) async throws -> Resolution {
                    asked.yield()
                    for await _ in gate { return .zero }
                    throw CancellationError()
                }
            }
        #endif

        #if Metrics
            @Test func `what is counted is reported once`() async throws {
                let factory = Recording()
                let reactor = try Reactor.start()
                let pager = try await Pager(on: reactor)
                let region = try await pager.map(byteCount: 4 * SystemPage.size, handler: ZeroFillHandler())
                let reporter = MetricsReporter(pager, name: "p", factory: factory)
                for page in 0..<4 {
                    let thread = FaultingThread {
                        region.load(fromByteOffset: page * region.pageSize, as: UInt8.self)
                    }
                    #expect(await thread.value == 0)
                    await reporter.report()
                }
                await reporter.report()
                #expect(factory.sum("faultline_messages_total") == 4)
                #expect(factory.sum("faultline_pages_present") == 4)
                await pager.shutdown()
                await reactor.shutdown()
            }

            /// Adds up what counters are given, and keeps what gauges are.
            private final class Recording: MetricsFactory, Sendable {
                private let values = Lock<[String: Int64]>([:])

                func sum(_ label: String) -> Int64? { values.withLock { $0[label] } }

                private final class Sink: CounterHandler, RecorderHandler {
                    let owner: Recording
                    let label: String
                    init(_ owner: Recording, _ label: String) { (self.owner, self.label) = (owner, label) }
                    func increment(by amount: Int64) {
                        owner.values.withLock { $0[label, default: 0] += amount }
                    }
                    func reset() { owner.values.withLock { $0[label] = 0 } }
                    func record(_ value: Int64) { owner.values.withLock { $0[label] = value } }
                    func record(_ value: Double) { owner.values.withLock { $0[label] = Int64(value) } }
                }

                func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
                    Sink(self, label)
                }
                func makeRecorder(
                    label: String, dimensions: [(String, String)], aggregate: Bool
                ) -> any RecorderHandler { Sink(self, label) }
                func makeTimer(label: String, dimensions: [(String, String)]) -> any CoreMetrics.TimerHandler
                {
                    NOOPMetricsHandler.instance
                }
                func destroyCounter(_ handler: any CounterHandler) {}
                func destroyRecorder(_ handler: any RecorderHandler) {}
                func destroyTimer(_ handler: any CoreMetrics.TimerHandler) {}
            }
        #endif
    }
#endif
