import CBaseline

/// A running baseline: a region and a thread in plain C that serves it.
///
/// `@unchecked Sendable`: the handle is used by the one task that started the server, and C synchronises with its own
/// thread by joining it.
@safe final class CServer: RunningServer, @unchecked Sendable {
    private let handle: OpaquePointer

    /// - Parameter remote: the connection of a server that fetches pages; it becomes the server's.
    init(_ style: CVariant.Style, _ work: ServingWork, remote: RemoteClient? = nil) throws(RunError) {
        var plan = unsafe bench_server_plan()
        unsafe plan.style = UInt32(style.number)
        unsafe plan.source = work.source.address
        unsafe plan.byte_count = work.source.byteCount
        unsafe plan.cpu = work.cpu
        unsafe plan.floor_pages = style == .copies ? 1 : 512
        unsafe plan.work = BusyStore.rounds
        unsafe plan.delay = UInt64(DelayedStore.microseconds) * 1000
        unsafe plan.remote = remote?.handle
        var error: CInt = 0
        let started: OpaquePointer?
        if let path = work.source.path {
            unsafe started = unsafe path.withCString { text in
                unsafe plan.path = unsafe text
                return unsafe bench_server_start(&plan, &error)
            }
        } else {
            unsafe started = unsafe bench_server_start(&plan, &error)
        }
        guard let started = unsafe started else {
            throw .failed("The C server could not be started: \(System.describe(error)).")
        }
        unsafe handle = unsafe started
    }

    var base: UInt { unsafe bench_server_base(handle) }

    var nanosecondsPerPage: Double? {
        let floor = unsafe bench_server_floor(handle)
        return floor > 0 ? floor : nil
    }

    func stop() async throws -> Counters {
        var counters = bench_counters()
        unsafe bench_server_stop(handle, &counters)
        return Counters(counters)
    }
}

extension CVariant.Style {
    fileprivate var number: Int {
        switch self {
        case .read: BENCH_SERVE_READ
        case .epoll: BENCH_SERVE_EPOLL
        case .batch: BENCH_SERVE_BATCH
        case .merged: BENCH_SERVE_MERGED
        case .positionedRead: BENCH_SERVE_PREAD
        case .ahead: BENCH_SERVE_AHEAD
        case .busy: BENCH_SERVE_BUSY
        case .delayed: BENCH_SERVE_DELAYED
        case .floor, .copies: BENCH_SERVE_FLOOR
        case .remote: BENCH_SERVE_REMOTE
        case .signal: BENCH_SERVE_SIGBUS
        }
    }
}

extension Counters {
    init(_ counters: bench_counters) {
        self.init(
            messages: counters.messages, reads: counters.reads, copies: counters.copies,
            wakes: counters.wakes,
            bytes: counters.bytes, eexist: counters.eexist, eagain: counters.eagain,
            failures: counters.failures)
    }
}
