import CBaseline

/// Memory whose writes are noted in plain C.
///
/// `@unchecked Sendable`: as with `CServer`, one task uses the handle.
@safe final class CDirty: RunningDirty, @unchecked Sendable {
    private let handle: OpaquePointer
    private let style: CDirtyVariant.Style
    private let pages: Int

    init(_ style: CDirtyVariant.Style, _ work: DirtyWork) throws(RunError) {
        var plan = bench_dirty_plan()
        plan.style = style.number
        plan.source = work.source.address
        plan.byte_count = work.source.byteCount
        plan.cpu = work.cpu
        var error: CInt = 0
        guard let started = unsafe bench_dirty_start(&plan, &error) else {
            throw .failed("Writes cannot be noted in C: \(System.describe(error)).")
        }
        unsafe handle = unsafe started
        self.style = style
        pages = work.source.pageCount
    }

    var base: UInt { unsafe bench_dirty_base(handle) }

    func collect() async throws -> DirtySet? {
        guard style != .none else { return nil }
        var set = DirtySet(pages: pages)
        let begin = System.now
        let error = unsafe bench_dirty_collect(handle, &set.bitmap)
        set.time = System.now - begin
        guard error == 0 else {
            throw RunError.failed("Written pages could not be collected in C: \(System.describe(error)).")
        }
        return set
    }

    func stop() async throws -> Counters {
        var counters = bench_counters()
        unsafe bench_dirty_stop(handle, &counters)
        return Counters(counters)
    }
}

extension CDirtyVariant.Style {
    fileprivate var number: UInt32 {
        let number =
            switch self {
            case .none: BENCH_DIRTY_NONE
            case .messages: BENCH_DIRTY_MESSAGES
            case .asynchronous: BENCH_DIRTY_ASYNC
            case .readOnly: BENCH_DIRTY_MPROTECT
            }
        return UInt32(number)
    }
}

/// The writing of one word to each of some pages.
enum PageWriter {
    /// On a thread of its own. Returns the nanoseconds it took.
    static func write(_ value: UInt64, to pages: [UInt32], at base: UInt, cpu: Int32) throws(RunError)
        -> UInt64
    {
        var error: CInt = 0
        let time = unsafe bench_write_pages(base, System.pageSize, pages, pages.count, value, cpu, &error)
        guard error == 0 else {
            throw .failed("A writing thread cannot be started: \(System.describe(error)).")
        }
        return time
    }

    /// The same writes to memory that nobody watches.
    static func write(_ value: UInt64, to pages: [UInt32], of contents: borrowing ChangingContents) {
        unsafe bench_write_pages_here(contents.address, System.pageSize, pages, pages.count, value)
    }
}
