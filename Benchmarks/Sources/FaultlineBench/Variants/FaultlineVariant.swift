import EventReactor
import Faultline
import Userfault

/// Faultline: a pager on a reactor with a thread of its own, and one of several handlers.
struct FaultlineVariant: Variant {
    enum Style {
        /// The included handler for memory: answers through the synchronous entry.
        case sync
        /// The same, on a reactor that looks for work for a bounded time before it sleeps.
        case spinning
        /// An async handler that does not suspend.
        case async
        /// An async handler that suspends once and is resumed by the loop.
        case suspending
        /// A store that takes its time to answer.
        case delayed
        /// The included handler for memory, with adaptive read-ahead.
        case ahead
        /// The same, in huge pages where it is far enough ahead.
        case huge
        /// Shared memory that holds the contents already: existing pages are mapped, with read-ahead.
        case existing
        /// The included handler for memory, in a pager whose faults the faulting threads resolve.
        case inThread
        /// The included handler for files, mapped.
        case mappedFile
        /// The included handler for files, read by pread(2) on worker threads.
        case positionedReads
    }

    var name: String
    var style: Style

    func start(_ work: ServingWork) async throws -> any RunningServer {
        var configuration = Reactor.Configuration(name: "faultline")
        if style == .spinning { configuration.waiting = .spinning() }
        let reactor = try Reactor.start(configuration)
        await reactor.run { System.pinThread(to: work.cpu) }
        let pager = try await Pager(
            on: reactor, configuration: .init(resolution: style == .inThread ? .inThread : .reactor))
        var workers: WorkerPool?
        if style == .positionedReads {
            // One thread, so that it can be pinned like the rest.
            let pool = try WorkerPool(threads: 1)
            await pool.run { System.pinThread(to: work.cpu) }
            workers = pool
        }
        let region: Region
        if style == .existing {
            let memory = try SharedMemory(byteCount: work.source.byteCount)
            memory.withMutableBytes(0..<work.source.byteCount) { work.source.copy(to: &$0) }
            region = try await pager.map(
                memory, handler: ExistingHandler(),
                options: RegionOptions(readAhead: .adaptive, modes: .minor))
        } else {
            region = try await pager.map(
                byteCount: work.source.byteCount, handler: makeHandler(work.source, reactor, workers),
                options: RegionOptions(
                    readAhead: style == .ahead || style == .huge ? .adaptive : .none,
                    fillsHugePages: style == .huge))
        }
        return FaultlineServer(reactor: reactor, pager: pager, region: region)
    }

    private func makeHandler(
        _ contents: Contents, _ reactor: Reactor, _ workers: WorkerPool?
    ) throws -> any FaultHandler {
        switch style {
        case .sync, .spinning, .ahead, .inThread: return MemoryHandler(contents.pageSource)
        case .huge: return MemoryHandler(try contents.makePageSource())
        case .delayed: return DelayedStore(source: contents.pageSource, reactor: reactor)
        case .existing: return ExistingHandler()
        case .async: return AsyncHandler(source: contents.pageSource)
        case .suspending: return SuspendingHandler(source: contents.pageSource, reactor: reactor)
        case .mappedFile, .positionedReads:
            guard let path = contents.path else { throw RunError.failed("\(name) needs a file.") }
            if let workers { return try FileHandler(path: path, reading: .positionedReads(workers)) }
            return try FileHandler(path: path)
        }
    }
}

/// The contents are there: they are to be mapped.
private struct ExistingHandler: FaultHandler {
    func resolveNow(_ request: FaultRequest) throws -> Resolution? { .mapExisting }
    func resolve(_ request: FaultRequest) async throws -> Resolution { .mapExisting }
}

/// A store that answers each request after a while; meanwhile others are served.
struct DelayedStore: FaultHandler {
    static let microseconds = 200

    var source: PageSource
    var reactor: Reactor

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        try await reactor.sleep(for: .microseconds(DelayedStore.microseconds))
        return .copy(from: source, at: request.offset)
    }
}

/// A region that a pager serves.
struct FaultlineServer: RunningServer {
    var reactor: Reactor
    var pager: Pager
    var region: Region

    var base: UInt { region.range.start }

    func stop() async throws -> Counters {
        let counters = Counters(await pager.statistics)
        try await pager.unmap(region)
        await pager.shutdown()
        await reactor.shutdown()
        return counters
    }
}

extension Counters {
    init(_ statistics: PagerStatistics) {
        self.init(
            messages: UInt64(statistics.messages + statistics.inThreadResolutions),
            reads: UInt64(statistics.reads),
            copies: UInt64(statistics.copies + statistics.inThreadResolutions),
            wakes: UInt64(statistics.wakes),
            otherIoctls: UInt64(statistics.zeroPages + statistics.poisons + statistics.continues),
            bytes: UInt64(statistics.bytes),
            eexist: UInt64(statistics.exists), eagain: UInt64(statistics.again + statistics.partials),
            failures: UInt64(statistics.failures))
    }
}
