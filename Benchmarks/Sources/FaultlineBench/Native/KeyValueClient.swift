import CBaseline

/// A thread with a connection that sends one request after the other, from the moment that somebody listens.
///
/// `@unchecked Sendable`: what the client counts is atomic in C; the results are read by the one task that has stopped it.
@safe final class KeyValueClient: @unchecked Sendable {
    private let handle: OpaquePointer
    private let program: Program

    /// - Parameters:
    ///   - number: among the clients of `load`.
    ///   - origin: what times are counted from.
    init(
        _ number: Int, _ load: KeyValueLoad, of server: String, _ program: Program, origin: UInt64
    ) throws(RunError) {
        self.program = program
        var error: CInt = 0
        let handle = unsafe load.withPlan(number, of: server, program: program, origin: origin) {
            unsafe bench_kv_client_start(&$0, &error)
        }
        guard let handle = unsafe handle else {
            throw .failed("A client could not be started: \(System.describe(error)).")
        }
        unsafe self.handle = unsafe handle
    }

    deinit { unsafe bench_kv_client_destroy(handle) }

    /// Waits until it has got so many replies more.
    func waitFor(replies: Int) throws(RunError) {
        let error = unsafe bench_kv_client_wait(handle, UInt64(replies))
        try KeyValueLoad.check(error, "A client got no reply", program)
    }

    /// How many replies it has got.
    var replies: UInt64 { unsafe bench_kv_client_replies(handle) }

    func record(_ isOn: Bool) { unsafe bench_kv_client_record(handle, isOn ? 1 : 0) }

    func stop() throws(RunError) {
        let error = unsafe bench_kv_client_stop(handle)
        try KeyValueLoad.check(error, "A client was stopped", program)
    }

    /// From the origin to the first reply, nanoseconds.
    var first: UInt64 { unsafe bench_kv_client_first(handle) }

    /// Times of requests that were recorded.
    var times: Pauses {
        var counts = [UInt64](repeating: 0, count: BENCH_HISTOGRAM_BUCKETS)
        unsafe bench_kv_client_histogram(handle, &counts)
        return Pauses(
            counts: counts, bounds: counts.indices.map { Double(bench_histogram_bound($0)) },
            longest: Double(unsafe bench_kv_client_longest(handle)))
    }

    /// Replies in each interval from the origin on.
    var intervals: [UInt32] {
        var counts = [UInt32](repeating: 0, count: BENCH_KV_INTERVALS)
        unsafe bench_kv_client_intervals(handle, &counts)
        return counts
    }
}

/// Several of them.
struct KeyValueClients {
    /// The length of an interval, nanoseconds.
    static let interval = Double(BENCH_KV_INTERVAL)
    private let all: [KeyValueClient]

    init(_ load: KeyValueLoad, of server: String, _ program: Program, origin: UInt64) throws(RunError) {
        var all: [KeyValueClient] = []
        for number in 0..<load.clients {
            all.append(try KeyValueClient(number, load, of: server, program, origin: origin))
        }
        self.all = all
    }

    /// Waits until each has got so many replies more.
    func waitFor(replies: Int) throws(RunError) { for client in all { try client.waitFor(replies: replies) } }

    var replies: [UInt64] { all.map(\.replies) }

    func record(_ isOn: Bool) { for client in all { client.record(isOn) } }

    /// Ends all of them.
    func stop() throws(RunError) { for client in all { try client.stop() } }

    /// From the origin to the first reply to any of them, nanoseconds.
    var first: UInt64 { all.map(\.first).min() ?? 0 }

    /// Times of requests that were recorded.
    var times: Pauses {
        let all = self.all.map(\.times)
        var sum = all[0]
        for times in all.dropFirst() {
            for index in sum.counts.indices { sum.counts[index] += times.counts[index] }
            sum.longest = max(sum.longest, times.longest)
        }
        return sum
    }

    /// Replies in each interval from the origin to the last.
    var intervals: [Int] {
        var counts = [Int](repeating: 0, count: BENCH_KV_INTERVALS)
        for own in all.map(\.intervals) {
            for index in own.indices { counts[index] += Int(own[index]) }
        }
        return Array(counts.prefix((counts.lastIndex { $0 > 0 } ?? -1) + 1))
    }
}
