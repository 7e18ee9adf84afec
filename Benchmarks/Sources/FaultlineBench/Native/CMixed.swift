import CBaseline

/// The running baseline of `mixed`: one epoll loop in plain C with faults, an echo server and a timer.
///
/// `@unchecked Sendable`: as with `CServer`, one task uses the handle.
@safe final class CMixed: RunningMixed, @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ work: MixedWork) throws(RunError) {
        var plan = bench_mixed_plan()
        plan.source = work.source.address
        plan.byte_count = work.source.byteCount
        plan.cpu = work.cpu
        plan.interval = work.interval
        plan.lateness_limit = work.tickLimit
        var error: CInt = 0
        guard let started = unsafe bench_mixed_start(&plan, &error) else {
            throw .failed("The C loop could not be started: \(System.describe(error)).")
        }
        unsafe handle = unsafe started
    }

    deinit { unsafe bench_mixed_destroy(handle) }

    var base: UInt { unsafe bench_mixed_base(handle) }
    var port: UInt16 { unsafe bench_mixed_port(handle) }

    func stop() async throws -> MixedOutcome {
        var counters = bench_counters()
        unsafe bench_mixed_stop(handle, &counters)
        var lateness = [UInt64](repeating: 0, count: unsafe bench_mixed_tick_count(handle))
        unsafe bench_mixed_lateness(handle, &lateness)
        return MixedOutcome(counters: Counters(counters), lateness: lateness)
    }
}
