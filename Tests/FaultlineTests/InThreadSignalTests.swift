import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// The handler of SIGBUS among others. In processes of their own, since there is one for a whole process.
@Suite(.requiresUserfaultfd([.sigbus, .poison]), .timeLimit(.minutes(5)))
struct InThreadSignalTests {
    @Test func `a bus error elsewhere goes to the handler that was there before, as if there were no other`()
        async throws
    {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, SIGUSR2)
            try await withInThreadPager { pager in
                let region = try await pager.map(byteCount: SystemPage.size, handler: ZeroFillHandler())
                let elsewhere = ctest_map_empty_file(UInt64(SystemPage.size)) + 9
                let thread = FaultingThread { () -> [UInt64] in
                    ctest_block_signal(SIGUSR1)
                    ctest_unblock_signal(SIGUSR2)
                    let mask = ctest_current_mask()
                    return [
                        UInt64(bitPattern: Int64(ctest_recorded_peek(elsewhere))),
                        mask ^ ctest_last_record().mask, mask ^ ctest_current_mask(),
                    ]
                }
                // What is blocked more in the handler than before, and after it.
                let more: UInt64 = 1 << UInt64(SIGBUS - 1) | 1 << UInt64(SIGUSR2 - 1)
                #expect(await thread.value == [UInt64(bitPattern: -Int64(SIGBUS)), more, 0])
                let record = ctest_last_record()
                #expect(record.count == 1)
                #expect(record.number == SIGBUS)
                #expect(record.code == 2, "BUS_ADRERR")
                #expect(record.address == elsewhere)
                #expect(await region.reader(ofPage: 0).value == 0)
            }
        }
    }

    @Test func `a signal that somebody sends goes to the handler that was there before`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, 0, 0)
            try await withInThreadPager { pager in
                let thread = FaultingThread { ctest_raise_keeping_errno(SIGBUS, 42) }
                #expect(await thread.value == 42, "errno is the thread's own")
                let record = ctest_last_record()
                #expect(record.count == 1)
                #expect(record.code == 0, "it takes no information")
                // The thread sanitizer puts an errno of its own there.
                #expect(TestProcess.hasSanitizer || record.error == 42)
                let region = try await pager.map(byteCount: SystemPage.size, handler: ZeroFillHandler())
                let quiet = FaultingThread { () -> CInt in
                    errno = 43
                    _ = region.word(ofPage: 0)
                    return errno
                }
                #expect(await quiet.value == 43)
            }
        }
    }

    @Test func `a handler that wanted to be called once is called once`() async throws {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            ctest_record_signal(SIGBUS, Int32(SA_SIGINFO) | Int32(bitPattern: UInt32(SA_RESETHAND)), 0)
            try await withInThreadPager { _ in
                let elsewhere = ctest_map_empty_file(4096)
                let thread = FaultingThread { ctest_recorded_peek(elsewhere) }
                guard await thread.value == -SIGBUS, ctest_last_record().count == 1 else {
                    TestProcess.exit(1)
                }
                let second = FaultingThread { ctest_recorded_peek(elsewhere) }
                _ = await second.value
            }
        }
    }

    @Test(arguments: [false, true])
    func `without a handler before, a bus error ends the process as ever`(isIgnored: Bool) async throws {
        await #expect(processExitsWith: .signal(SIGBUS)) { [isIgnored = isIgnored as Bool] in
            MemoryProbe.dieOfBusErrors()
            if isIgnored { ctest_ignore_signal(SIGBUS) }
            try await withInThreadPager { _ in
                // One that is sent can be ignored.
                if isIgnored, ctest_raise_keeping_errno(SIGBUS, 1) != 1 { TestProcess.exit(1) }
                let elsewhere = ctest_map_empty_file(4096)
                let thread = FaultingThread { ctest_peek(elsewhere) }
                _ = await thread.value
            }
        }
    }

    @Test func `a signal that somebody sends ends the process, without a handler before`() async throws {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            MemoryProbe.dieOfBusErrors()
            try await withInThreadPager { _ in
                let thread = FaultingThread { ctest_raise_keeping_errno(SIGBUS, 1) }
                _ = await thread.value
            }
        }
    }

    @Test func `a page that cannot be supplied ends the process, without a handler before`() async throws {
        await #expect(processExitsWith: .signal(SIGBUS)) {
            MemoryProbe.dieOfBusErrors()
            try await withInThreadPager { pager in
                let region = try await pager.map(byteCount: 4096, handler: FailingHandler(synchronous: false))
                _ = await region.reader(ofPage: 0).value
            }
        }
    }

    @Test func `a handler that was taken away is installed anew with the next pager`() async throws {
        await #expect(processExitsWith: .success) {
            for _ in 0..<3 {
                try await withInThreadPager { pager in
                    let region = try await pager.map(byteCount: 4096, handler: ZeroFillHandler())
                    #expect(await region.reader(ofPage: 0).value == 0)
                }
                MemoryProbe.dieOfBusErrors()
            }
            // One that stands in front of ours, and does not know it, is left there, and not called in circles.
            try await withInThreadPager { _ in
                ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
                try await withInThreadPager { _ in
                    let elsewhere = ctest_map_empty_file(4096)
                    let thread = FaultingThread { ctest_recorded_peek(elsewhere) }
                    #expect(await thread.value == -SIGBUS)
                    #expect(ctest_last_record().count == 1)
                }
            }
        }
    }

    @Test func `the reactor's own thread gets a bus error where it would wait for itself`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            try await withInThreadPager { pager in
                let page = SystemPage.size
                let asked = try await pager.map(byteCount: page, handler: NumberedPages(first: 4))
                let known = try await pager.map(
                    byteCount: page, handler: MemoryHandler(try numberedBytes(page, first: 8)))
                let seen = await pager.reactor.run {
                    [asked, known].map { ctest_recorded_peek(UInt64($0.range.start)) }
                }
                #expect(seen == [-SIGBUS, 8], "what needs no reactor needs no waiting")
                #expect(await asked.reader(ofPage: 0).value == 4)
            }
        }
    }

    @Test func `in a child the handler leaves its parent's memory alone`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_record_signal(SIGBUS, SA_SIGINFO, 0)
            try await withInThreadPager { pager in
                let page = SystemPage.size
                let region = try await pager.map(
                    byteCount: 4 * page,
                    handler: ClosureHandler { request in
                        request.offset == 0 ? .poison : try .copy(NumberedPages.buffer(for: request))
                    },
                    options: RegionOptions(isInheritedByFork: true))
                let address = UInt64(region.range.start)
                let thread = FaultingThread { ctest_recorded_peek(address) }
                #expect(await thread.value == -SIGBUS)
                // The poison is inherited, the handler is, and so is the descriptor, which belongs to the parent.
                #expect(ctest_recorded_peek_in_child(address) == SIGBUS)
                #expect(ctest_recorded_peek_in_child(ctest_map_empty_file(UInt64(page))) == SIGBUS)
                // A child that makes regions of its own begins anew.
                #expect(ctest_resolve_in_child() == 0)
                #expect(await region.reader(ofPage: 1).value == 1)
            }
        }
    }
}
