import EventReactor
import Faultline
import Userfault

/// A region whose first touches are recorded, or filled in the order of a recording.
struct ReplayVariant: Variant {
    enum Use {
        case record
        case replay(TouchTrace)
    }

    var name: String
    var use: Use
    let recorded = Recorded()

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let reactor = try Reactor.start(.init(name: "faultline"))
        await reactor.run { System.pinThread(to: work.cpu) }
        let pager = try await Pager(on: reactor)
        let region = try await pager.map(
            byteCount: work.source.byteCount, handler: MemoryHandler(work.source.pageSource))
        if case .record = use { try await region.startRecording() }
        return Server(
            inner: FaultlineServer(reactor: reactor, pager: pager, region: region), use: use,
            recorded: recorded)
    }

    /// What was recorded in the last run.
    ///
    /// `@unchecked Sendable`: one task at a time uses it.
    final class Recorded: @unchecked Sendable {
        var value = TouchTrace(pageSize: System.pageSize)
    }

    private struct Server: RunningServer {
        var inner: FaultlineServer
        var use: Use
        var recorded: Recorded

        var base: UInt { inner.base }

        func begin() {
            guard case .replay(let trace) = use else { return }
            let region = inner.region
            Task { try await region.prefetch(trace) }
        }

        func stop() async throws -> Counters {
            if case .record = use { recorded.value = try await inner.region.stopRecording() }
            return try await inner.stop()
        }
    }
}
