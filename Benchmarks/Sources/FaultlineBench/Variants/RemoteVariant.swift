import EventReactor
import Faultline
import FaultlineRemote
import Userfault

/// Pages from a page server on loopback TCP, which has a processor of its own where there are two.
struct RemoteVariant: Variant {
    enum Style {
        /// A client in C: one message, one request, one answer, one copy.
        case blocking
        /// A pager over a remote store.
        case pipelined
        /// The same on a reactor that looks for the answer for a while before it blocks.
        case spinning
    }

    var name: String
    var style: Style

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let serving = try Reactor.start(.init(name: "page-server"))
        let cpu = work.cpu < 0 ? -1 : System.cpu(1) ?? work.cpu
        await serving.run { System.pinThread(to: cpu) }
        let (secret, bytes) = SharedSecret.random()
        let server = try await PageServer.start(
            on: serving, at: .ipv4("127.0.0.1", port: 0),
            exports: ["pages": .init(ContentsStore(contents: work.source), isReadOnly: true)], secret: secret)
        let inner: any RunningServer
        switch style {
        case .blocking:
            let client = try RemoteClient(port: server.address.port ?? 0, export: "pages", secret: bytes)
            inner = try CServer(.remote, work, remote: client)
        case .pipelined, .spinning:
            var configuration = Reactor.Configuration(name: "faultline")
            if style == .spinning { configuration.waiting = .spinning() }
            let reactor = try Reactor.start(configuration)
            await reactor.run { System.pinThread(to: work.cpu) }
            let store = try await RemoteStore.connect(
                to: server.address, export: "pages", secret: secret, on: reactor)
            let pager = try await Pager(on: reactor)
            let region = try await pager.map(byteCount: store.byteCount, handler: StoreHandler(store))
            inner = FaultlineServer(reactor: reactor, pager: pager, region: region)
        }
        return RemoteServer(inner: inner, server: server, reactor: serving)
    }
}

/// A client, and the server it asks.
private struct RemoteServer: RunningServer {
    var inner: any RunningServer
    var server: PageServer
    var reactor: Reactor

    var base: UInt { inner.base }

    func stop() async throws -> Counters {
        let counters = try await inner.stop()
        await server.shutdown(within: .zero)
        await reactor.shutdown()
        return counters
    }
}

/// Contents as a store that has everything at hand.
private struct ContentsStore: PageStore {
    var contents: Contents
    var byteCount: Int { contents.byteCount }

    func readNow(_ range: Range<Int>) -> StoredBytes? { .bytes(contents.pageSource, at: range.lowerBound) }

    func read(_ pieces: [StoreRead]) async throws {
        throw StoreError(.unsupported, "contents are at hand")
    }

    func write(_ pieces: [StoreWrite]) async throws { throw StoreError(.readOnly, "contents do not change") }
    func flush() async throws {}
}
