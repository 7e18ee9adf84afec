import CTestSupport
import EventReactor
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// The short version: a few bounces. The shape is the kernel's.
@Suite("Stress", .timeLimit(.minutes(5)))
struct StressCases {
    @Test(
        "24. stress", .requiresUserfaultfd([.writeProtectFaults, .writeProtectSharedMemory]),
        arguments: Backing.all)
    func stress(backing: Backing) async throws {
        let pages = backing.manyPages
        var (source, destination) = (try Area(backing, pages: pages), try Area(backing, pages: pages))
        let shadow = try Area(pages: pages * 8 / SystemPage.size + 1)
        ctest_stress_prepare(UInt64(source.start), UInt64(pages), UInt64(source.pageSize))
        for page in 0..<pages { ctest_store(UInt64(shadow.start) + UInt64(page * 8), 1) }
        for bounce in 0..<4 {
            let round = try Bounce(
                from: source, to: destination, pages: pages, shadow: shadow, number: bounce)
            try await round.run()
            #expect(source.release() == 0)
            swap(&source, &destination)
        }
    }
}

/// One for each processor, within reason.
private let threadCount = min(max(sysconf(CInt(_SC_NPROCESSORS_ONLN)), 2), 8)

private final class Bounce: Sendable {
    let (source, destination, shadow): (Area, Area, Area)
    let (pages, number): (Int, Int)
    let served: Served
    /// A page whose fault tells a reader that blocks to end.
    let bell: Area
    private let wrong = Lock<[String]>([])

    init(from source: Area, to destination: Area, pages: Int, shadow: Area, number: Int) throws {
        (self.source, self.destination, self.shadow) = (source, destination, shadow)
        (self.pages, self.number) = (pages, number)
        served = try Served(destination, [.missing, .writeProtect])
        bell = try Area(pages: 1)
        _ = try served.uffd.register(bell.whole, modes: .missing)
    }

    func run() async throws {
        let blocks = number % 2 == 0
        if blocks { _ = ctest_set_blocking(served.uffd.fileDescriptor) }
        let server = FaultingThread { self.serve() }
        let stop = try Area(pages: 1)
        let jobs = (0..<threadCount).map { thread in
            let job = UnsafeMutablePointer<ctest_stress>.allocate(capacity: 1)
            unsafe job.initialize(
                to: ctest_stress(
                    area: UInt64(destination.start), count: UInt64(pages), page_size: UInt64(source.pageSize),
                    shadow: UInt64(shadow.start), stop: UInt64(stop.start),
                    seed: UInt64(thread * 7919 + number),
                    order: [ctest_stress_random, ctest_stress_sequential, ctest_stress_racing][number % 3]))
            return UInt(bitPattern: job)
        }
        var threads = Crowd()
        for job in jobs { threads.add(Worker(ctest_task_stress, job)) }

        for page in 0..<pages / 2 { supply(page) }
        let half = destination.pages(0, pages / 2)
        #expect(served.uffd.writeProtect(half, options: .protect) == .whole)
        for page in pages / 2..<pages { supply(page) }
        // A page that is there is not overwritten.
        #expect(served.uffd.copy(from: source.start, to: destination.pages(0)) == .exists)

        stop.store(0, 1)
        #expect(threads.join() == jobs.map { _ in -1 })
        #expect(Worker.peek(bell.start).join() == 0)
        await server.value
        for job in jobs { unsafe UnsafeMutablePointer<ctest_stress>(bitPattern: job)?.deallocate() }

        #expect(served.uffd.writeProtect(destination.whole, options: []) == .whole)
        try served.uffd.unregister(destination.whole)
        for page in 0..<pages {
            let counter = ctest_stress_counter(UInt64(destination.address(page)))
            guard counter != ctest_load(UInt64(shadow.start) + UInt64(page * 8)) else { continue }
            Issue.record("page \(page) is corrupt in bounce \(number)")
            break
        }
        #expect(wrong.withLock { $0 } == [])
    }

    /// Copies one page, or wakes who waits for what somebody else has copied.
    private func supply(_ page: Int) {
        let range = destination.pages(page)
        let outcome = served.uffd.copy(from: source.address(page), to: range, options: .writeProtected)
        switch outcome {
        case .whole: break
        case .exists: check { try served.uffd.wake(range) }
        default: wrong.withLock { $0.append("page \(page): \(outcome)") }
        }
    }

    private func serve() {
        var batch = EventBatch()
        let descriptor = served.uffd.fileDescriptor
        while true {
            if number % 2 == 1 { _ = ctest_wait_readable(descriptor, 1000) }
            check { _ = try batch.read(from: served.uffd) }
            for index in 0..<batch.count {
                guard case .fault(let fault) = batch[index] else {
                    wrong.withLock { $0.append("\(batch[index])") }
                    return
                }
                if bell.whole.contains(fault.address) {
                    _ = served.uffd.zero(bell.whole)
                    return
                }
                let page = destination.index(of: fault.address)
                if fault.kind == .writeProtect {
                    let outcome = served.uffd.writeProtect(destination.pages(page), options: [])
                    if outcome != .whole { wrong.withLock { $0.append("\(fault): \(outcome)") } }
                } else {
                    supply(page)
                }
            }
        }
    }

    private func check(_ body: () throws -> Void) {
        do { try body() } catch { wrong.withLock { $0.append("\(error)") } }
    }
}
