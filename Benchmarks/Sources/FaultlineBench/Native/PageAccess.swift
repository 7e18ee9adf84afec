import CBaseline
import Glibc

/// What threads do with a page.
enum PageAccess: String, CaseIterable {
    case read
    case write
    /// One is added to a word.
    case change

    fileprivate var number: UInt32 {
        switch self {
        case .read: UInt32(BENCH_ACCESS_READ)
        case .write: UInt32(BENCH_ACCESS_WRITE)
        case .change: UInt32(BENCH_ACCESS_CHANGE)
        }
    }
}

/// Threads that access every page of some memory once, and check each time what they see.
struct PageAccesses {
    /// What came of it.
    struct Result {
        /// From the first access begun to the last one ended, nanoseconds.
        var elapsed: UInt64
        /// Nanoseconds per access.
        var latency: Distribution
    }

    var pages: Int
    var threads: Int
    var access: PageAccess
    var isShuffled: Bool
    var seed: UInt64
    var cpu: Int32

    /// Lets them run over the memory at `base`, which is to hold `expected`, and does once they are through.
    func run(
        over base: UInt, expecting expected: borrowing ChangingContents, variant: String
    ) throws(RunError) -> Result {
        var plan = bench_access_plan()
        plan.base = base
        plan.expected = expected.address
        plan.pages = pages
        plan.page_size = System.pageSize
        plan.threads = UInt32(threads)
        plan.access = access.number
        plan.shuffled = isShuffled ? 1 : 0
        plan.seed = seed
        plan.cpu = cpu
        var latencies = [UInt64](repeating: 0, count: pages)
        var outcome = bench_access_outcome()
        let error = unsafe bench_access_run(&plan, 120, &latencies, &outcome)
        if error == ETIMEDOUT {
            // A parked thread can be neither joined nor ended: the process has to go with it.
            System.write("faultline-bench: a thread has been waiting for two minutes.\n", to: .error)
            exit(1)
        }
        guard error == 0 else {
            throw .failed("\(threads) threads could not be started: \(System.describe(error)).")
        }
        guard outcome.mismatches == 0 else {
            throw .mismatch("Wrong contents from \(variant): \(outcome.mismatches) accesses.")
        }
        return Result(elapsed: outcome.elapsed, latency: Distribution(latencies))
    }
}

/// A file that begins like `ChangingContents` of the same seed. Removed at the end.
final class ChangingFile: Sendable {
    let path: String
    let byteCount: Int

    init(_ contents: borrowing ChangingContents, byteCount: Int) throws(RunError) {
        // Nobody else has memory at this address, in this process.
        let directory = try System.directory(for: byteCount)
        path = "\(directory)/faultline-bench-\(System.processID)-\(String(contents.address, radix: 16))"
        self.byteCount = byteCount
        let error = unsafe bench_file_make(path, contents.address, byteCount)
        guard error == 0 else {
            System.remove(path)
            throw .failed("'\(path)' cannot be written: \(System.describe(error)).")
        }
    }

    deinit { System.remove(path) }

    /// Maps the file, shared, for reading and writing; to be unmapped by the caller.
    func share() throws(RunError) -> UInt {
        let address = unsafe bench_file_share(path, byteCount)
        if address == 0 { throw .failed("'\(path)' cannot be mapped: \(System.describe(errno)).") }
        return address
    }

    /// Compares every byte of the file.
    func requireEqual(to expected: borrowing ChangingContents, variant: String) throws(RunError) {
        let address = try share()
        defer { bench_unmap(address, byteCount) }
        try expected.requireEqual(at: address, variant: "the file of \(variant)")
    }
}
