import CBaseline
import EventReactor
import Faultline
import Userfault

/// Faultline with several reactors: a striped region, and a store that computes for a while before it answers.
struct FaultlineGroupVariant: Variant {
    var name: String
    var reactors: Int

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let pinning: ReactorGroup.Pinning = work.cpu < 0 ? .none : .processors([Int(work.cpu)])
        let reactors = try ReactorGroup.start(
            .init(count: self.reactors, reactor: .init(name: "faultline"), pinning: pinning))
        let group = try await PagerGroup(on: reactors)
        let region = try await group.map(
            byteCount: work.source.byteCount, handler: BusyStore(source: work.source.pageSource))
        return FaultlineGroupServer(reactors: reactors, group: group, region: region)
    }
}

/// A store that takes so much of a CPU for each page; decompression, say.
struct BusyStore: FaultHandler {
    static let microseconds = 20
    static let rounds = bench_work_rounds(UInt64(microseconds) * 1000)

    var source: PageSource

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        for _ in 0..<request.pageCount { System.work(rounds: BusyStore.rounds) }
        return .copy(from: source, at: request.offset)
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        .copy(from: source, at: request.offset)
    }
}

/// A region that a group of pagers serves.
private struct FaultlineGroupServer: RunningServer {
    var reactors: ReactorGroup
    var group: PagerGroup
    var region: StripedRegion

    var base: UInt { region.range.start }

    func stop() async throws -> Counters {
        let counters = Counters(await group.statistics)
        try await group.unmap(region)
        await group.shutdown()
        await reactors.shutdown()
        return counters
    }
}
