import CBaseline
import EventReactor
import Faultline
import Userfault

/// A way to work on a file as if it were memory, with a name.
protocol PagingVariant: Sendable {
    var name: String { get }
    /// What the kernel must have for it.
    var features: Features { get }

    func start(_ work: PagingWork) async throws -> any RunningPaging
}

/// What is to be memory.
struct PagingWork: Sendable {
    var file: ChangingFile
    /// How many pages of it may be in memory.
    var budget: Int
    /// The CPU of the threads that serve, or -1.
    var cpu: Int32
}

/// A file that can be worked on.
protocol RunningPaging: Sendable {
    var base: UInt { get }
    /// Whether pages leave memory, so that what comes first can be left out of the measurement.
    var evicts: Bool { get }

    func counters() async -> PagingCounters
    /// Returns when all that was written is in the file.
    func flush() async throws
    func stop() async throws
}

/// What was done so far.
struct PagingCounters: Sendable {
    var faults = 0
    /// Ioctls of every kind, reads of messages, and calls that drop pages.
    var systemCalls = 0
    var evictions = 0
    var writes = 0

    static func - (left: PagingCounters, right: PagingCounters) -> PagingCounters {
        PagingCounters(
            faults: left.faults - right.faults, systemCalls: left.systemCalls - right.systemCalls,
            evictions: left.evictions - right.evictions, writes: left.writes - right.writes)
    }
}

/// mmap(2) of the file, which all fits into the page cache: nothing ever has to go.
struct MappedPaging: PagingVariant {
    var name: String { "mmap" }
    var features: Features { [] }

    func start(_ work: PagingWork) async throws -> any RunningPaging {
        Running(base: try work.file.share(), byteCount: work.file.byteCount)
    }

    private struct Running: RunningPaging {
        var base: UInt
        var byteCount: Int
        var evicts: Bool { false }

        func counters() async -> PagingCounters { PagingCounters() }
        func flush() async throws {}
        func stop() async throws { bench_unmap(base, byteCount) }
    }
}

/// A region over a file store, with a budget.
struct FaultlinePaging: PagingVariant {
    var name: String { "faultline" }
    var features: Features { .writeProtectFaults }

    func start(_ work: PagingWork) async throws -> any RunningPaging {
        let reactor = try Reactor.start(.init(name: "faultline"))
        // The threads of stores and pagers are started by the reactor's, and run where it does.
        let store = try await reactor.run { () throws(StoreError) in
            System.pinThread(to: work.cpu)
            return try FileStore(path: work.file.path)
        }
        let pager = try await Pager(on: reactor)
        let region = try await pager.map(
            store: store, budget: try MemoryBudget(byteCount: work.budget * System.pageSize),
            options: RegionOptions(readAhead: .adaptive))
        return Running(reactor: reactor, pager: pager, region: region)
    }

    private struct Running: RunningPaging {
        var reactor: Reactor
        var pager: Pager
        var region: Region
        var base: UInt { region.range.start }
        var evicts: Bool { true }

        func counters() async -> PagingCounters {
            let statistics = await pager.statistics
            return PagingCounters(
                faults: statistics.messages,
                systemCalls: statistics.ioctls + statistics.protects + statistics.reads
                    + statistics.discards,
                evictions: statistics.evictedPages, writes: statistics.writeBacks)
        }

        func flush() async throws { try await region.flush() }

        func stop() async throws {
            try await pager.unmap(region)
            await pager.shutdown()
            await reactor.shutdown()
        }
    }
}
