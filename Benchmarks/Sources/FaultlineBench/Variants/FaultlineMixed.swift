import EventReactor
import Faultline
import Userfault

/// `mixed` on one reactor: a pager, a listener and a repeating timer, served by ordinary tasks.
struct FaultlineMixedVariant: MixedVariant {
    var name: String { "faultline" }

    func start(_ work: MixedWork) async throws -> any RunningMixed {
        let reactor = try Reactor.start(.init(name: "mixed"))
        await reactor.run { System.pinThread(to: work.cpu) }
        let pager = try await Pager(on: reactor)
        let region = try await pager.map(
            byteCount: work.source.byteCount, handler: MemoryHandler(work.source.pageSource))
        let listener = try await reactor.listen(on: .ipv4("127.0.0.1", port: 0))
        let echo = Task(executorPreference: reactor) { try await Self.echo(listener, on: reactor) }
        let timer = Task(executorPreference: reactor) { await Self.tick(work, on: reactor) }
        return FaultlineMixed(
            reactor: reactor, pager: pager, region: region, listener: listener, echo: echo, timer: timer)
    }

    /// Sends everything back that comes on any connection.
    private static func echo(_ listener: Listener, on reactor: Reactor) async throws {
        for await connection in listener.connections {
            Task(executorPreference: reactor) {
                while true {
                    let bytes = try await connection.read()
                    if bytes.isEmpty { break }
                    try await connection.write(bytes)
                }
                await connection.close()
            }
        }
    }

    /// Records how late each tick is: of several that passed unseen, the first.
    private static func tick(_ work: MixedWork, on reactor: Reactor) async -> [UInt64] {
        var lateness: [UInt64] = []
        lateness.reserveCapacity(work.tickLimit)
        for await tick in reactor.ticks(every: .nanoseconds(Int64(work.interval))) {
            let due = tick.due.nanoseconds - Int64(tick.missed) * Int64(work.interval)
            let late = reactor.clock.now.nanoseconds - due
            if lateness.count < work.tickLimit { lateness.append(UInt64(max(late, 0))) }
        }
        return lateness
    }
}

/// The loop at work.
private struct FaultlineMixed: RunningMixed {
    var reactor: Reactor
    var pager: Pager
    var region: Region
    var listener: Listener
    var echo: Task<Void, any Error>
    var timer: Task<[UInt64], Never>

    var base: UInt { region.range.start }
    var port: UInt16 { listener.address.port ?? 0 }

    func stop() async throws -> MixedOutcome {
        timer.cancel()
        let lateness = await timer.value
        await listener.close()
        try await echo.value
        let counters = Counters(await pager.statistics)
        try await pager.unmap(region)
        await pager.shutdown()
        await reactor.shutdown()
        return MixedOutcome(counters: counters, lateness: lateness)
    }
}
