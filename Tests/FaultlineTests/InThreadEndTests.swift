import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// Pages that are not to be had, regions that go, and pagers that stop. In processes of their own, where a bus error does
/// not end the others' tests.
@Suite(.requiresUserfaultfd([.sigbus, .poison]), .timeLimit(.minutes(5)))
struct InThreadEndTests {
    @Test func `a page that cannot be supplied is a bus error for its thread, once and again`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            let log = FailureLog()
            try await withInThreadPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
                for synchronous in [true, false] {
                    let region = try await pager.map(
                        byteCount: 4 * SystemPage.size, handler: FailingHandler(synchronous: synchronous))
                    let address = UInt64(region.address(ofPage: 2)) + 5
                    for _ in 0..<3 {
                        let before = ctest_last_record().count
                        let thread = FaultingThread { ctest_recorded_peek(address) }
                        #expect(await thread.value == -SIGBUS)
                        #expect(ctest_last_record().count == before + 1)
                        #expect(ctest_last_record().address == address)
                    }
                }
                #expect(log.failures.map(\.action) == [.poisoned, .poisoned])
                #expect(await pager.statistics.poisonedPages == 2)
                #expect(await pager.statistics.inFlightPages == 0)

                let poison = try await pager.map(
                    byteCount: SystemPage.size, handler: ClosureHandler { _ in .poison })
                let address = UInt64(poison.address(ofPage: 0))
                let threads = (0..<8).map { _ in FaultingThread { ctest_recorded_peek(address) } }
                for thread in threads { #expect(await thread.value == -SIGBUS) }
            }
        }
    }

    @Test func `bytes that are gone from the source fail for their page alone`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            let page = SystemPage.size
            let file = TemporaryFile([UInt8](repeating: 3, count: 4 * page))
            let log = FailureLog()
            try await withInThreadPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
                let region = try await pager.map(byteCount: 8 * page, handler: FileHandler(path: file.path))
                let early = FaultingThread { ctest_recorded_peek(UInt64(region.address(ofPage: 1))) }
                #expect(await early.value == 3)
                file.truncate()
                for (number, expected) in [(0, -SIGBUS), (1, 3), (0, -SIGBUS), (5, 0)] {
                    let address = UInt64(region.address(ofPage: number))
                    let thread = FaultingThread { ctest_recorded_peek(address) }
                    #expect(await thread.value == expected, "page \(number)")
                }
                #expect(log.failures.map(\.action) == [.poisoned])
            }
        }
    }

    @Test func `shutting down lets sleepers go, to find a bus error, and keeps what was supplied`()
        async throws
    {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            let page = SystemPage.size
            try await withInThreadPager(queueCapacity: 4) { pager in
                let gate = Gate()
                let asked = try await pager.map(
                    byteCount: 64 * page,
                    handler: ClosureHandler { request in
                        await gate.wait()
                        return .zero
                    })
                // So large that what is missing is replaced, not poisoned.
                let large = try await pager.map(
                    byteCount: 1 << 40, handler: MemoryHandler(try numberedBytes(16 * page, first: 5)))
                let places = [3, 1 << 27, (1 << 28) - 1]
                let supplied = FaultingThread { places.map { large.word(ofPage: $0) } }
                #expect(await supplied.value == [8, 0, 0])
                // Some wait for the handler, and the rest for room in the queue while the loop is held.
                let hold = await LoopHold.take(pager.reactor)
                let threads = (0..<32).map { number in
                    let address = UInt64(asked.address(ofPage: number))
                    return FaultingThread { ctest_recorded_peek(address) }
                }
                for thread in threads { await thread.waitUntilParked() }
                let closed = Task { await pager.shutdown(within: .milliseconds(5)) }
                hold.release()
                for thread in threads { #expect(await thread.value == -SIGBUS) }
                await closed.value
                gate.open()
                let after = FaultingThread {
                    places.map { ctest_recorded_peek(UInt64(large.address(ofPage: $0))) }
                        + places.map { ctest_recorded_peek(UInt64(large.address(ofPage: $0 - 1))) }
                }
                #expect(await after.value == [8, 0, 0, -SIGBUS, -SIGBUS, -SIGBUS])
                let statistics = await pager.statistics
                #expect(statistics.inThreadPages == 3)
                #expect(statistics.inFlightPages == 0)
            }
        }
    }

    @Test func `threads that install pages while the region goes get the right bytes or an error`()
        async throws
    {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            try await withInThreadPager { pager in
                let pages = 200
                let source = try numberedBytes(pages * SystemPage.size, first: 1)
                for _ in 0..<(TestProcess.hasSanitizer ? 5 : 40) {
                    let region = try await pager.map(
                        byteCount: pages * SystemPage.size, handler: MemoryHandler(source))
                    let threads = (0..<4).map { seed in
                        FaultingThread { () -> Int in
                            var generator = SeededGenerator(seed: UInt64(seed) + 1)
                            for number in (0..<pages).shuffled(using: &generator) {
                                let byte = ctest_recorded_peek(UInt64(region.address(ofPage: number)))
                                if byte == -SIGBUS { return 0 }
                                if byte != CInt(UInt8(truncatingIfNeeded: number + 1)) { return number + 1 }
                            }
                            return 0
                        }
                    }
                    try await pager.unmap(region)
                    for thread in threads { #expect(await thread.value == 0) }
                }
                #expect(await pager.statistics.presentPages == 0)
            }
        }
    }

    @Test(.requiresKernelFaults)
    func `a thread that is held up in the middle of a copy does not hold up the end, and keeps what it uses`()
        async throws
    {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            let page = SystemPage.size
            // Bytes that are not there: the copy waits for them in the kernel.
            let start = MemoryProbe.map(byteCount: page)
            let range = AddressRange(start: start, byteCount: page)
            let store = try Userfaultfd()
            _ = try store.register(range, modes: .missing)
            weak var kept: PageSource?
            try await withInThreadPager { pager in
                let thread: FaultingThread<CInt>
                do {
                    let source = unsafe PageSource(unsafeMemoryAt: range)
                    kept = source
                    let region = try await pager.map(byteCount: page, handler: MemoryHandler(source))
                    let address = UInt64(region.range.start)
                    thread = FaultingThread { ctest_recorded_peek(address) }
                    await thread.waitUntilParked()
                    try await pager.unmap(region)
                }
                #expect(!thread.isFinished)
                #expect(kept != nil)
                #expect(store.zero(range) == .whole)
                #expect(await thread.value == -SIGBUS, "the page was sealed meanwhile")
                let other = try await pager.map(byteCount: page, handler: ZeroFillHandler())
                #expect(await other.reader(ofPage: 0).value == 0)
                #expect(kept == nil, "it was let go with the next region")
            }
        }
    }

    @Test func `regions come and go while threads fault in another`() async throws {
        try await withInThreadPager { pager in
            let page = SystemPage.size
            let pages = TestProcess.hasSanitizer ? 500 : 8000
            let region = try await pager.map(
                byteCount: pages * page, handler: MemoryHandler(try numberedBytes(pages * page, first: 2)))
            let threads = (0..<4).map { quarter in
                FaultingThread {
                    (pages / 4 * quarter..<pages / 4 * (quarter + 1)).allSatisfy {
                        region.word(ofPage: $0) == UInt64($0) + 2
                    }
                }
            }
            var rounds = 0
            let source = try numberedBytes(4 * page, first: 60)
            while rounds < 20 || !threads.allSatisfy(\.isFinished) {
                let other = try await pager.map(byteCount: 4 * page, handler: MemoryHandler(source))
                let thread = other.reader(ofPage: 1)
                #expect(await thread.value == 61)
                try await pager.unmap(other)
                rounds += 1
            }
            for thread in threads { #expect(await thread.value) }
        }
    }

    @Test func `a thread that comes late to its handler goes on where its page is there`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            try await withInThreadPager { pager in
                let page = SystemPage.size
                let region = try await pager.map(
                    byteCount: 4 * page, handler: MemoryHandler(try numberedBytes(4 * page, first: 1)))
                let there = UInt64(region.address(ofPage: 1))
                let missing = UInt64(region.address(ofPage: 2))
                let thread = FaultingThread {
                    region.word(ofPage: 1) == 2 && ctest_send_bus_error(there) == 0
                }
                #expect(await thread.value)
                try await pager.unmap(region)
                let late = FaultingThread { ctest_send_bus_error(there) == 0 }
                #expect(await late.value)
                #expect(ctest_last_record().count == 0)
                // Where it is not, it is a bus error like any other.
                let sealed = FaultingThread { ctest_send_bus_error(missing) == 0 }
                #expect(await sealed.value)
                #expect(ctest_last_record().count == 1)
                #expect(ctest_last_record().address == missing)
            }
        }
    }

    @Test func `many regions find room, and more than there is room for are refused`() async throws {
        // In a process of its own: the room is the process's.
        await #expect(processExitsWith: .success) {
            try await withInThreadPager { pager in
                var regions: [Region] = []
                var refusal: PagerError?
                while refusal == nil, regions.count <= 4096 {
                    do {
                        regions.append(
                            try await pager.map(byteCount: SystemPage.size, handler: ZeroFillHandler()))
                    } catch {
                        refusal = error as? PagerError
                    }
                }
                #expect(regions.count == 4096)
                #expect(refusal?.code == .tooManyRegions)
                let touched = regions
                let thread = FaultingThread { touched.allSatisfy { $0.word(ofPage: 0) == 0 } }
                #expect(await thread.value)
                for region in regions.prefix(10) { try await pager.unmap(region) }
                for _ in 0..<10 {
                    let region = try await pager.map(byteCount: SystemPage.size, handler: ZeroFillHandler())
                    #expect(await region.reader(ofPage: 0).value == 0)
                    regions.append(region)
                }
            }
        }
    }

    @Test func `a pager that is dropped lets its threads go`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            let reactor = try Reactor.start()
            let handler = ClosureHandler { _ in
                try await reactor.sleep(for: .seconds(1000))
                return .zero
            }
            let byteCount = 4 * SystemPage.size
            let start = MemoryProbe.map(byteCount: byteCount)
            var pager: Pager? = try await Pager(
                on: reactor, configuration: Pager.Configuration(resolution: .inThread))
            var region = try await unsafe pager?.register(
                unsafeMemoryAt: AddressRange(start: start, byteCount: byteCount), handler: handler)
            let thread = FaultingThread { ctest_recorded_peek(UInt64(start)) }
            while handler.callCount == 0 { await Task.yield() }
            await thread.waitUntilParked()
            #expect(region != nil)
            region = nil
            #expect(!thread.isFinished)
            pager = nil
            #expect(await thread.value == -SIGBUS)
            await reactor.shutdown()
        }
    }
}
