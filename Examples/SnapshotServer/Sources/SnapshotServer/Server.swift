import EventReactor
import Faultline
import Foundation
import KeyValueStore
import Synchronization
import Userfault

/// A server of keys and values whose memory is a region: restored as it is needed, saved while it goes on.
///
/// Three parties, none of whom waits for a page on another's thread: the connections' reactor, the pager's reactor, and the
/// data thread.
final class Server: Sendable {
    let region: Region
    let data: DataThread
    let loader: Loader
    let saver: Saver
    let clients = Clients()
    let requestLimits: RequestParser.Limits
    let started = ContinuousClock.now
    /// Where it listens; with the real port.
    var addresses: [SocketAddress] { listeners.map(\.address) }

    private let connections: Reactor
    private let paging: Reactor
    private let readers: WorkerPool
    private let listeners: [Listener]
    private let commands = Atomic(0)
    private let savesOnExit: Bool
    private let log: @Sendable (String) -> Void
    private let stops: AsyncStream<Bool?>
    private let stopped: AsyncStream<Bool?>.Continuation

    /// Maps the memory and listens. Nothing of the image is read but its header, unless all of it is wanted first.
    ///
    /// - Throws: `StoreError` if the image is none that can be taken, ``LoadingError``; what the reactor and the pager throw.
    init(_ settings: Settings, log: @escaping @Sendable (String) -> Void) async throws {
        self.log = log
        savesOnExit = settings.savesOnExit
        (stops, stopped) = AsyncStream.makeStream(of: Bool?.self)
        let image = try Image(path: settings.image, memory: settings.memory)
        connections = try Reactor.start(.init(name: "connections"))
        paging = try Reactor.start(.init(name: "pager"))
        readers = try WorkerPool(threads: 2, name: "image reader")
        let pager = try await Pager(
            on: paging, configuration: .init(name: "snapshot-server", onFailure: { log("\($0)") }))
        let handler: any FaultHandler =
            image.isThere
            ? try FileHandler(path: settings.image, reading: .positionedReads(readers)) : ZeroFillHandler()
        region = try await pager.map(
            byteCount: image.memory, handler: handler,
            options: RegionOptions(
                name: settings.image, isInheritedByFork: settings.saving == .fork,
                modes: [.missing, .writeProtect], findsZeroPages: true))
        let limits = Store<RegionMemory>.Limits(valueLength: settings.valueLimit)
        data = try DataThread(Store(image.header, in: RegionMemory(region: region), limits: limits))
        loader = Loader(region, imageByteCount: image.isThere ? image.header.top : 0, log: log)
        saver = try Saver(region, data, loader, settings.saving, path: settings.image, log: log)
        var requestLimits = RequestParser.Limits()
        requestLimits.argumentLength = settings.valueLimit
        requestLimits.requestLength = settings.valueLimit * 2
        self.requestLimits = requestLimits
        if settings.loadsFirst {
            guard await loader.start().value else { throw LoadingError() }
        }
        var listeners: [Listener] = []
        for address in settings.addresses {
            var options = Listener.Options()
            options.onFailure = { log("a client could not be accepted: \($0)") }
            listeners.append(try await connections.listen(on: address, options))
        }
        self.listeners = listeners
        let count =
            image.isThere ? "an image of \(image.header.count) keys" : "nothing: there is no image yet"
        log("memory of \(region.byteCount >> 20) MiB, with \(count)")
    }

    var processID: Int32 { ProcessInfo.processInfo.processIdentifier }
    var commandCount: Int { commands.load(ordering: .relaxed) }

    func count(_ number: Int) { commands.add(number, ordering: .relaxed) }

    /// Has ``run(prefetchDelay:)`` come to its end.
    ///
    /// - Parameter saving: whether an image is taken in the end; nil as the settings say.
    func stop(saving: Bool?) { stopped.yield(saving) }

    /// Begins an image, as SIGUSR1 has it.
    func save() async {
        if await saver.begin() == nil { log("an image is being taken already") }
    }

    /// Serves until it is told to stop, finishes what is under way, and saves if that is wanted.
    ///
    /// - Parameter prefetchDelay: when to load the image though no client has come.
    /// - Throws: what the pager throws if the last image could not be saved.
    func run(prefetchDelay: Duration) async throws {
        let serving = listeners.map { listener in Task { await accept(listener) } }
        let loading = Task {
            try await Task.sleep(for: prefetchDelay)
            loader.start()
        }
        var saves = savesOnExit
        for await wish in stops {
            saves = wish ?? savesOnExit
            break
        }
        log("stopping: what is under way is finished")
        loading.cancel()
        for listener in listeners { await listener.close() }
        await clients.stop()
        let patience = Task {
            try await Task.sleep(for: .seconds(5))
            log("some clients do not take their replies, and are left")
            await clients.closeAll()
        }
        for task in serving { await task.value }
        patience.cancel()
        var outcome: Saver.Outcome?
        if saves { outcome = await saver.saveLast() } else { await saver.waitUntilIdle() }
        await region.pager.shutdown()
        await connections.shutdown()
        await paging.shutdown()
        _ = try outcome?.get()
    }

    private func accept(_ listener: Listener) async {
        await withDiscardingTaskGroup { group in
            for await connection in listener.connections {
                group.addTask(executorPreference: connections) {
                    await Client(server: self, connection: connection).serve()
                }
            }
        }
    }

    /// Signals that reach the process, on the reactor of the connections.
    func signals(_ stop: CInt..., save: CInt) async throws -> Task<Void, any Error> {
        let stopping = try await connections.signals(stop[0], stop[1])
        let saving = try await connections.signals(save)
        return Task {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    _ = try await stopping.receive()
                    self.stop(saving: nil)
                }
                group.addTask { while true { if try await saving.receive().count > 0 { await self.save() } } }
                try await group.waitForAll()
            }
        }
    }
}
