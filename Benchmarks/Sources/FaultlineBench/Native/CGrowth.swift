import CBaseline
import Glibc

/// The loop in plain C, at a size.
struct CGrowthVariant: Variant {
    var name: String
    var size: GrowthSize

    func start(_ work: ServingWork) async throws -> any RunningServer {
        let layout = GrowthLayout(size, pages: work.source.pageCount)
        var plan = bench_growth_plan()
        plan.regions = UInt32(layout.regions)
        plan.descriptors = UInt32(size.descriptors)
        plan.region_bytes = layout.regionBytes
        plan.pages_per_region = layout.pagesPerRegion
        plan.window_pages = layout.windowPages
        plan.pitch = layout.pitch
        plan.parked = UInt32(size.parked)
        plan.source = work.source.address
        plan.cpu = work.cpu
        var error: CInt = 0
        guard let handle = unsafe bench_growth_start(&plan, &error) else {
            throw RunError.failed("The C server could not be started: \(System.describe(error)).")
        }
        let bases = (0..<plan.regions).map { unsafe bench_growth_base(handle, $0) }
        let parkers = try Parkers(
            at: unsafe bench_growth_parking(handle), count: size.parked, cpu: work.cpu)
        while unsafe bench_growth_parked(handle) < plan.parked { System.sleep(nanoseconds: 1_000_000) }
        return unsafe CGrowth(
            handle, addresses: layout.addresses(work.source.pageCount, bases: bases), parkers: parkers)
    }
}

/// A running loop.
///
/// `@unchecked Sendable`: the handle is used by the one task that started the server, and C synchronises with its own
/// thread by joining it.
@safe private final class CGrowth: RunningServer, @unchecked Sendable {
    private let handle: OpaquePointer
    private let parkers: Parkers
    let addresses: [UInt]?

    init(_ handle: OpaquePointer, addresses: [UInt], parkers: Parkers) {
        unsafe self.handle = unsafe handle
        self.addresses = addresses
        self.parkers = parkers
    }

    var base: UInt { unsafe bench_growth_base(handle, 0) }

    func stop() async throws -> Counters {
        unsafe bench_growth_release(handle)
        parkers.join()
        var counters = bench_counters()
        unsafe bench_growth_stop(handle, &counters)
        return Counters(counters)
    }
}

/// Threads that wait for pages until somebody supplies them.
///
/// `@unchecked Sendable`: the handle is used by the one task that made them.
@safe final class Parkers: @unchecked Sendable {
    private let handle: OpaquePointer?

    init(at base: UInt, count: Int, cpu: Int32) throws(RunError) {
        guard count > 0 else {
            unsafe handle = nil
            return
        }
        unsafe handle = unsafe bench_parkers_start(base, System.pageSize, UInt32(count), cpu)
        if unsafe handle == nil {
            // Those that were started are parked for good: the process has to go with them.
            System.write(
                "faultline-bench: \(count) threads could not be started: \(System.describe(errno)).\n",
                to: .error)
            exit(1)
        }
    }

    /// Waits until all have gone on.
    func join() {
        if let handle = unsafe handle { unsafe bench_parkers_join(handle) }
    }
}
