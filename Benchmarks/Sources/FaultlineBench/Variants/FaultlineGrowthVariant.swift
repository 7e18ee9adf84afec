import EventReactor
import Faultline
import Synchronization
import Userfault

/// Faultline, at a size: one reactor, as many pagers as there are to be descriptors.
struct FaultlineGrowthVariant: Variant {
    var name: String
    var size: GrowthSize

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let layout = GrowthLayout(size, pages: work.source.pageCount)
        let pinning: ReactorGroup.Pinning = work.cpu < 0 ? .none : .processors([Int(work.cpu)])
        let reactors = try ReactorGroup.start(
            .init(count: 1, reactor: .init(name: "faultline"), pinning: pinning))
        let lot = ParkingLot()
        let served =
            size.sharing > 1
            ? try await share(work, layout, lot, reactors)
            : try await spread(work, layout, lot, reactors.next())
        let parkers = try Parkers(at: served.parking, count: size.parked, cpu: work.cpu)
        while lot.count < size.parked { System.sleep(nanoseconds: 1_000_000) }
        return FaultlineGrowthServer(
            reactors: reactors, pagers: served.pagers, memory: served.memory, lot: lot, parkers: parkers,
            addresses: layout.addresses(work.source.pageCount, bases: served.bases))
    }

    /// What serves, and where.
    private struct Served {
        var pagers: [Pager]
        /// The regions, which keep their memory mapped.
        var memory: [any Sendable]
        var bases: [UInt]
        var parking: UInt
    }

    /// Regions of their own.
    private func spread(
        _ work: ServingWork, _ layout: GrowthLayout, _ lot: ParkingLot, _ reactor: Reactor
    ) async throws -> Served {
        var pagers: [Pager] = []
        for _ in 0..<size.descriptors { pagers.append(try await Pager(on: reactor)) }
        var regions: [Region] = []
        for number in 0..<layout.regions {
            let handler = WindowHandler(
                source: work.source.pageSource, first: number * layout.pagesPerRegion, layout: layout)
            regions.append(
                try await pagers[number % pagers.count].map(byteCount: layout.regionBytes, handler: handler))
        }
        var served = Served(
            pagers: pagers, memory: regions, bases: regions.map(\.range.start), parking: 0)
        guard size.parked > 0 else { return served }
        let parking = try await pagers[0].map(
            byteCount: size.parked * System.pageSize, handler: lot,
            options: RegionOptions(maximumRequestPages: 1))
        served.memory.append(parking)
        served.parking = parking.range.start
        return served
    }

    /// A region that several descriptors share, and another one for the threads that are parked.
    private func share(
        _ work: ServingWork, _ layout: GrowthLayout, _ lot: ParkingLot, _ reactors: ReactorGroup
    ) async throws -> Served {
        let group = try await PagerGroup(on: reactors, pagersPerReactor: size.sharing)
        let handler = WindowHandler(source: work.source.pageSource, first: 0, layout: layout)
        let region = try await group.map(
            byteCount: layout.regionBytes, handler: handler,
            layout: StripeLayout(stripeByteCount: 64 * System.pageSize))
        let parking = try await group.map(
            byteCount: size.parked * System.pageSize, handler: lot,
            layout: StripeLayout(stripeByteCount: System.pageSize))
        return Served(
            pagers: group.pagers, memory: [region, parking], bases: [region.range.start],
            parking: parking.range.start)
    }
}

/// Contents that lie in windows.
private struct WindowHandler: FaultHandler {
    var source: PageSource
    var first: Int
    var layout: GrowthLayout

    func resolveNow(_ request: FaultRequest) throws -> Resolution? {
        .copy(from: source, at: (first + layout.page(at: request.offset)) * request.pageSize)
    }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        .copy(from: source, at: (first + layout.page(at: request.offset)) * request.pageSize)
    }
}

/// Pages that nobody gets before the end.
private final class ParkingLot: FaultHandler {
    private struct State {
        var isOpen = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    /// How many wait.
    var count: Int { state.withLock { $0.waiters.count } }

    func resolve(_ request: FaultRequest) async throws -> Resolution {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiters.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
        return .zero
    }

    func open() {
        let waiters = state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// What is served.
private struct FaultlineGrowthServer: RunningServer {
    var reactors: ReactorGroup
    var pagers: [Pager]
    var memory: [any Sendable]
    var lot: ParkingLot
    var parkers: Parkers
    var addresses: [UInt]?

    var base: UInt { addresses?.first ?? 0 }

    func stop() async throws -> Counters {
        var counters = Counters()
        for pager in pagers { counters.add(Counters(await pager.statistics)) }
        lot.open()
        parkers.join()
        for pager in pagers { await pager.shutdown() }
        await reactors.shutdown()
        return counters
    }
}

extension Counters {
    fileprivate mutating func add(_ other: Counters) {
        messages += other.messages
        reads += other.reads
        copies += other.copies
        wakes += other.wakes
        otherIoctls += other.otherIoctls
        bytes += other.bytes
        eexist += other.eexist
        eagain += other.eagain
        failures += other.failures
    }
}
