import CBaseline
import Userfault

/// Memory that writers may write to, filled as they want it. Unmapped at the end.
final class SnapshotMemory: Sendable {
    let range: AddressRange
    let threads: Int
    let seed: UInt64

    init(pages: Int, threads: Int, seed: UInt64) throws(RunError) {
        let address = bench_memory_map(pages * System.pageSize)
        if address == 0 { throw .failed("There is no memory for \(pages) pages.") }
        range = AddressRange(start: address, byteCount: pages * System.pageSize)
        self.threads = threads
        self.seed = seed
        var plan = self.plan(cpu: -1)
        unsafe bench_snapshot_fill(&plan)
    }

    deinit { bench_unmap(range.start, range.byteCount) }

    /// The fewest pages that so many threads can write to.
    static func fewestPages(threads: Int) -> Int { BENCH_SNAPSHOT_SHARED_PAGES + threads }

    fileprivate func plan(cpu: Int32) -> bench_writers_plan {
        var plan = bench_writers_plan()
        plan.base = range.start
        plan.pages = range.byteCount / System.pageSize
        plan.page_size = System.pageSize
        plan.threads = UInt32(threads)
        plan.seed = seed
        plan.cpu = cpu
        return plan
    }

    /// Checks that memory at `image` shows this memory at one instant.
    func verify(_ image: UInt, of what: String) throws(RunError) {
        var plan = self.plan(cpu: -1)
        var fault = unsafe bench_image_fault()
        let error = unsafe bench_image_verify(&plan, image, &fault)
        guard error == 0 else { throw .failed("\(what) cannot be checked: \(System.describe(error)).") }
        guard let reason = unsafe fault.what else { return }
        let page = unsafe fault.page
        throw .mismatch("\(what) is wrong at page \(page): \(unsafe String(cString: reason)).")
    }

    /// Checks an image in a file.
    func verify(fileAt path: String, of what: String) throws(RunError) {
        var byteCount = 0
        let address = unsafe bench_file_map(path, &byteCount)
        if address == 0 { throw .failed("'\(path)' cannot be mapped.") }
        defer { bench_unmap(address, byteCount) }
        guard byteCount == range.byteCount else {
            throw .mismatch("\(what) has \(byteCount) bytes instead of \(range.byteCount).")
        }
        try verify(address, of: what)
    }
}

/// Threads that write to random words and time their pauses.
///
/// `@unchecked Sendable`: the flags are atomic in C; the results are read by the one task that has stopped the threads.
@safe final class SnapshotWriters: @unchecked Sendable {
    private let handle: OpaquePointer
    private let memory: SnapshotMemory

    init(_ memory: SnapshotMemory, cpu: Int32) throws(RunError) {
        self.memory = memory
        var plan = memory.plan(cpu: cpu)
        var error: CInt = 0
        guard let handle = unsafe bench_writers_start(&plan, &error) else {
            throw .failed("\(memory.threads) writers could not be started: \(System.describe(error)).")
        }
        unsafe self.handle = unsafe handle
    }

    deinit { unsafe bench_writers_destroy(handle) }

    /// Waits until each thread has done so many operations more.
    func waitFor(operations: Int) throws(RunError) {
        let error = unsafe bench_writers_wait(handle, UInt64(operations))
        if error != 0 { throw .failed("The writers do not get on: \(System.describe(error)).") }
    }

    func record(_ isOn: Bool) { unsafe bench_writers_record(handle, isOn ? 1 : 0) }

    /// Ends the threads. Returns the pauses that were recorded.
    func stop() -> Pauses {
        unsafe bench_writers_stop(handle)
        var histogram = [UInt64](repeating: 0, count: BENCH_HISTOGRAM_BUCKETS)
        unsafe bench_writers_histogram(handle, &histogram)
        return Pauses(
            counts: histogram, bounds: histogram.indices.map { Double(bench_histogram_bound($0)) },
            longest: Double(unsafe bench_writers_longest(handle)))
    }
}

/// fork(2) and a child that writes.
enum ForkedImage {
    /// Returns when the child has written all of `memory`. Blocks.
    static func write(_ memory: AddressRange, to path: String) throws(RunError) {
        let error = unsafe bench_fork_image(memory.start, memory.byteCount, path)
        if error != 0 {
            throw .failed("A forked child could not write '\(path)': \(System.describe(error)).")
        }
    }
}
