internal import CStress
import Userfault

/// Threads that take mutexes which lie in pages, and count.
///
/// `@unchecked Sendable`: the counts are atomic in C; the results are read by the one task that has joined the threads.
@safe final class Lockers: @unchecked Sendable {
    /// The order in which they go from page to page.
    enum Order: UInt32, CaseIterable { case random, sequential, racing }

    /// A thread that saw what should not be.
    struct Corruption: Equatable {
        var page: Int
        var seen: UInt64
        var expected: UInt64
    }

    let threads: Int
    private let handle: OpaquePointer

    /// Starts the threads on the pages of `area`.
    init(
        area: AddressRange, pageSize: Int, shadow: Shadow, threads: Int, order: Order, seed: UInt64
    ) throws(Failure) {
        self.threads = threads
        var plan = cstress_plan()
        plan.area = area.start
        plan.shadow = shadow.address
        plan.pages = area.byteCount / pageSize
        plan.page_size = pageSize
        plan.threads = UInt32(threads)
        plan.order = order.rawValue
        plan.seed = seed
        var error: CInt = 0
        guard let handle = unsafe cstress_lockers_start(&plan, &error) else {
            throw .failed("\(threads) threads could not be started: \(Errno(rawValue: error)).")
        }
        unsafe self.handle = unsafe handle
    }

    deinit {
        unsafe cstress_lockers_stop(handle)
        unsafe cstress_lockers_destroy(handle)
    }

    /// How many mutexes each thread has taken so far.
    var counts: [UInt64] { (0..<threads).map { unsafe cstress_lockers_count(handle, UInt32($0)) } }

    /// Whether a thread has ended because of what it saw.
    var hasFoundCorruption: Bool { unsafe cstress_lockers_have_found(handle) != 0 }

    /// Tells the threads to stop.
    func stop() { unsafe cstress_lockers_stop(handle) }

    /// Waits for the threads and says what they found. Blocks.
    func join() -> [Corruption] {
        unsafe cstress_lockers_join(handle)
        var found: [Corruption] = []
        for thread in 0..<threads {
            var (seen, expected): (UInt64, UInt64) = (0, 0)
            let page = unsafe cstress_lockers_corrupt(handle, UInt32(thread), &seen, &expected)
            if page >= 0 { found.append(Corruption(page: Int(page), seen: seen, expected: expected)) }
        }
        return found
    }
}

/// What the counters of the pages must be, a word for each page.
final class Shadow: Sendable {
    let address: UInt
    private let byteCount: Int

    init(pages: Int) throws(Failure) {
        byteCount = pages * MemoryLayout<UInt64>.size
        address = cstress_map(byteCount)
        if address == 0 { throw .failed("There is no memory for \(pages) counters.") }
    }

    deinit { cstress_unmap(address, byteCount) }

    /// Compares every counter, and the words that never change, of memory in which nobody counts any more.
    func verify(_ area: AddressRange, pageSize: Int) throws(Failure) {
        let pages = area.byteCount / pageSize
        let page = cstress_verify(area.start, pages, pageSize, address)
        guard page < pages else { return }
        let counter = cstress_counter(area.start, page, pageSize)
        throw .corrupt(
            "Page \(page) of \(pages) is corrupt: its counter is \(counter), and must be "
                + "\(cstress_shadow(address, page)) with unchanged words behind it.")
    }
}
