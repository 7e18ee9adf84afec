import CBaseline
import Glibc

/// The order in which pages are touched.
enum TouchPattern: String {
    case ascending
    case shuffled
    /// Of n threads the i-th touches pages i, i + n, i + 2n, …
    case interleaved
    /// Runs of 1 to 16 pages, in any order.
    case clustered

    fileprivate var number: UInt32 {
        switch self {
        case .ascending: UInt32(BENCH_PATTERN_ASCENDING)
        case .shuffled: UInt32(BENCH_PATTERN_SHUFFLED)
        case .interleaved: UInt32(BENCH_PATTERN_INTERLEAVED)
        case .clustered: UInt32(BENCH_PATTERN_CLUSTERED)
        }
    }
}

/// Faulting threads that stand at the start and touch every page of a region once when let go. What they touch before
/// that, to warm up, are pages of their own behind those.
@safe struct Touchers: ~Copyable {
    private let handle: OpaquePointer
    private let pages: Int

    /// - Parameter addresses: where each page lies, those for warming up included; nil if they follow each other.
    init(
        base: UInt, addresses: [UInt]? = nil, source: Contents, pages: Int, warmUp: Int, threads: Int,
        pattern: TouchPattern,
        seed: UInt64,
        cpu: Int32
    ) throws(RunError) {
        self.pages = pages
        var plan = bench_touch_plan()
        plan.base = base
        plan.expected = source.address
        plan.pages = pages
        plan.warm_up = warmUp
        plan.page_size = System.pageSize
        plan.threads = UInt32(threads)
        plan.pattern = pattern.number
        plan.seed = seed
        plan.cpu = cpu
        // Copied before the call returns.
        let made = unsafe (addresses ?? []).withUnsafeBytes { places in
            if addresses != nil { plan.addresses = UInt(bitPattern: places.baseAddress) }
            return unsafe bench_touchers_make(&plan)
        }
        guard let handle = unsafe made else {
            throw .failed("\(threads) faulting threads could not be started: \(System.describe(errno)).")
        }
        unsafe self.handle = unsafe handle
    }

    deinit { unsafe bench_touchers_destroy(handle) }

    /// Lets the threads go and waits until every page has been touched. Allocates nothing.
    borrowing func run() throws(RunError) {
        unsafe bench_touchers_release(handle)
        try finish()
    }

    /// Lets the threads go.
    borrowing func release() { unsafe bench_touchers_release(handle) }

    /// Waits until every page has been touched.
    borrowing func finish() throws(RunError) {
        guard unsafe bench_touchers_wait(handle, 120) == 0 else {
            // A parked thread can be neither joined nor ended: the process has to go with it.
            System.write("faultline-bench: a faulting thread has been waiting for two minutes.\n", to: .error)
            exit(1)
        }
    }

    /// Pages in which a checked word was wrong.
    var mismatches: UInt64 { unsafe bench_touchers_mismatches(handle) }

    /// First touch begun to last touch ended, nanoseconds.
    var elapsed: UInt64 { unsafe bench_touchers_elapsed(handle) }

    /// Nanoseconds per touch.
    var latencies: [UInt64] {
        var result = [UInt64](repeating: 0, count: pages)
        unsafe bench_touchers_latencies(handle, &result)
        return result
    }

    /// When each touch ended, nanoseconds after the first began, ascending.
    var completions: [UInt64] {
        var result = [UInt64](repeating: 0, count: pages)
        unsafe bench_touchers_completions(handle, &result)
        return result.sorted()
    }
}
