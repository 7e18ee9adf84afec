import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

/// What threads cannot resolve themselves: it goes to the reactor, and they sleep.
@Suite(.requiresUserfaultfd(.sigbus), .timeLimit(.minutes(5)))
struct InThreadHandoverTests {
    let page = SystemPage.size

    @Test func `async handlers that suspend, or answer at once, serve threads that sleep`() async throws {
        try await withInThreadPager(Pager.Configuration(reportsThreadIDs: true)) { pager in
            let reactor = pager.reactor
            let suspending = ClosureHandler { request in
                #expect(reactor.isOnLoop)
                try await request.waitOnTimer(.milliseconds(1), on: reactor)
                #expect(reactor.isOnLoop)
                var buffer = try request.makeBuffer()
                buffer.store(request.threadID ?? 0, toByteOffset: 0)
                buffer.store(request.isWrite, toByteOffset: 4)
                return .copy(buffer)
            }
            let first = try await pager.map(byteCount: 4 * page, handler: suspending)
            let reader = FaultingThread { first.load(fromByteOffset: 8, as: UInt32.self) }
            #expect(await reader.value == 0)
            #expect(first.load(fromByteOffset: 0, as: UInt32.self) == UInt32(reader.threadID))
            #expect(!first.load(fromByteOffset: 4, as: Bool.self))
            let writer = FaultingThread { first.store(UInt32(1), toByteOffset: first.pageSize + 8) }
            await writer.value
            #expect(first.load(fromByteOffset: page, as: UInt32.self) == UInt32(writer.threadID))
            #if arch(x86_64)
                #expect(first.load(fromByteOffset: page + 4, as: Bool.self))
            #endif

            let second = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 20))
            #expect(await second.reader(ofPage: 3).value == 23)
            let statistics = await pager.statistics
            #expect(statistics.requests == 3)
            #expect(statistics.copies == 3)
            #expect(statistics.inThreadResolutions == 0)
        }
    }

    @Test func `one request serves all threads that sleep for a page, and others are served meanwhile`()
        async throws
    {
        try await withInThreadPager { pager in
            let gate = Gate()
            let handler = ClosureHandler { request in
                if request.offset == 0 { await gate.wait() }
                return try .copy(NumberedPages.buffer(for: request, first: 1))
            }
            let region = try await pager.map(byteCount: 2048 * page, handler: handler)
            let slow = (0..<16).map { number in
                FaultingThread { region.load(fromByteOffset: 8 * number, as: UInt64.self) }
            }
            for thread in slow { await thread.waitUntilParked() }
            // Else page 1 might join the request.
            while handler.callCount == 0 { await Task.yield() }
            // Page 1024 sleeps in the same place as page 0 does, or may: whoever is woken for it goes back to sleep.
            for number in [1, 5, 1024, 1025, 2047] {
                #expect(await region.reader(ofPage: number).value == UInt64(number) + 1)
            }
            for thread in slow { await thread.waitUntilParked() }
            #expect(slow.allSatisfy { !$0.isFinished })
            gate.open()
            for thread in slow { #expect(await thread.value == 1) }
            #expect(handler.callCount == 6)
            #expect(await pager.statistics.inFlightPages == 0)
        }
    }

    @Test func `neighbours that are handed over together become one request and one copy`() async throws {
        // Where no other test's region goes: that may wake threads which sleep in the same place.
        await #expect(processExitsWith: .success) {
            try await withInThreadPager { pager in
                let region = try await pager.map(byteCount: 64 * SystemPage.size, handler: NumberedPages())
                let hold = await LoopHold.take(pager.reactor)
                let threads = [5, 3, 4, 6, 20, 22, 21].map { region.reader(ofPage: $0) }
                for thread in threads { await thread.waitUntilParked() }
                hold.release()
                #expect(await threads[0].value == 5)
                for thread in threads { _ = await thread.value }
                let statistics = await pager.statistics
                #expect(statistics.messages == 7)
                #expect(statistics.requests == 2)
                #expect(statistics.copies == 2)
            }
        }
    }

    @Test func `a handler that fails is asked again, and then the page is there`() async throws {
        let log = FailureLog()
        try await withInThreadPager(Pager.Configuration(onFailure: { log.add($0) })) { pager in
            let handler = ClosureHandler { request in
                if request.attempt < 3 { throw StoreIsDown() }
                return try .copy(NumberedPages.buffer(for: request, first: 50))
            }
            let options = RegionOptions(failurePolicy: .retry(limit: 3, initialDelay: .microseconds(100)))
            let region = try await pager.map(byteCount: 4 * page, handler: handler, options: options)
            #expect(await region.reader(ofPage: 1).value == 51)
            #expect(handler.callCount == 4)
            #expect(log.failures.map(\.failures) == [1, 2, 3])
        }
    }

    @Test(arguments: [1, 3])
    func `a queue that is full makes threads wait for room, and loses no fault`(capacity: Int) async throws {
        try await withInThreadPager(queueCapacity: capacity) { pager in
            let pages = 64
            let region = try await pager.map(
                byteCount: pages * page, handler: NumberedPages(first: 9),
                options: RegionOptions(maximumRequestPages: 1))
            let hold = await LoopHold.take(pager.reactor)
            let threads = (0..<pages).map { region.reader(ofPage: $0) }
            for thread in threads { await thread.waitUntilParked() }
            hold.release()
            for (number, thread) in threads.enumerated() { #expect(await thread.value == UInt64(number) + 9) }
            #expect(await pager.statistics.presentPages == pages)
        }
    }

    @Test func `more faults than one read takes are all served`() async throws {
        try await withInThreadPager(Pager.Configuration(messagesPerRead: 2, readsPerTurn: 1)) { pager in
            let region = try await pager.map(
                byteCount: 128 * page, handler: NumberedPages(first: 9),
                options: RegionOptions(maximumRequestPages: 1))
            let hold = await LoopHold.take(pager.reactor)
            let threads = (0..<31).map { region.reader(ofPage: 3 * $0) }
            for thread in threads { await thread.waitUntilParked() }
            hold.release()
            for (number, thread) in threads.enumerated() {
                #expect(await thread.value == UInt64(3 * number) + 9)
            }
        }
    }

    @Test func `a kernel that is busy is asked again, and what another installed is found`() async throws {
        let tries = Lock(0)
        try await withInThreadPager(script: { call, kernel in
            guard call.kind == .copy else { return nil }
            let number = tries.withLock { tries in
                tries += 1
                return tries
            }
            if number < 4 { return .again }
            // Somebody else is faster, and wakes nobody.
            if number == 4 { _ = kernel.copy(from: call.source ?? 0, to: call.range, wake: false) }
            return nil
        }) { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 6))
            #expect(await region.reader(ofPage: 2).value == 8)
            let statistics = await pager.statistics
            #expect(statistics.again == 3)
            #expect(statistics.exists == 1)
            #expect(statistics.inFlightPages == 0)
        }
    }

    @Test func `pages that the program drops are asked for anew`() async throws {
        try await withInThreadPager { pager in
            let region = try await pager.map(byteCount: 4 * page, handler: NumberedPages(first: 1))
            let thread = FaultingThread {
                let first = region.word(ofPage: 1)
                let isDropped = MemoryProbe.discard(region.address(ofPage: 1), byteCount: region.pageSize)
                return isDropped && first == 2 && region.word(ofPage: 1) == 2
            }
            #expect(await thread.value)
            #expect(await pager.statistics.requests == 2)
        }
    }

    @Test func `what is moved, supplied in parts, or comes later reaches its threads`() async throws {
        try await withInThreadPager { pager in
            let handler = ClosureHandler { request in
                if request.offset == 0, request.attempt == 0 {
                    var buffer = try request.makeBuffer()
                    buffer.store(UInt64(70), toByteOffset: 0)
                    let whole = AddressRange(start: request.range.start, byteCount: request.pageSize)
                    try await request.supply(Resolution.copy(buffer).covering(whole))
                    return .zero
                }
                if request.offset / request.pageSize == 1 { return .zero }
                return try .copy(NumberedPages.buffer(for: request, first: 70))
            }
            let region = try await pager.map(
                byteCount: 4 * page, handler: handler, options: RegionOptions(maximumRequestPages: 1))
            let threads = (0..<3).map { region.reader(ofPage: $0) }
            #expect(await threads[0].value == 70)
            #expect(await threads[1].value == 0)
            #expect(await threads[2].value == 72)
        }
    }

    @Test func `a signal is handled while its thread sleeps for a page, which it then gets`() async throws {
        await #expect(processExitsWith: .success) {
            ctest_count_signal(SIGUSR1)
            try await withInThreadPager { pager in
                let gate = Gate()
                let handler = ClosureHandler { request in
                    await gate.wait()
                    return try .copy(NumberedPages.buffer(for: request, first: 1))
                }
                let region = try await pager.map(byteCount: 4 * SystemPage.size, handler: handler)
                let thread = FaultingThread {
                    ctest_unblock_signal(SIGUSR1)
                    return region.word(ofPage: 2)
                }
                for number in 1...20 {
                    await thread.waitUntilParked()
                    thread.signal(SIGUSR1)
                    // The thread sanitizer keeps a signal back until the thread calls the library.
                    while !TestProcess.hasSanitizer, ctest_signal_count() < number { await Task.yield() }
                }
                #expect(!thread.isFinished)
                gate.open()
                #expect(await thread.value == 3)
                #expect(await pager.statistics.messages == 1, "it slept on, and did not ask again")
            }
        }
    }

    // Not under the thread sanitizer: it runs signal handlers with all signals blocked, SIGBUS included.
    #if !SANITIZED
        @Test(arguments: [false, true])
        func `a signal handler that touches a missing page is served while its thread sleeps`(inMemory: Bool)
            async throws
        {
            await #expect(processExitsWith: .success) { [inMemory = inMemory as Bool] in
                try await withInThreadPager { pager in
                    let page = SystemPage.size
                    let gate = Gate()
                    let outer = try await pager.map(
                        byteCount: 4 * page,
                        handler: ClosureHandler { request in
                            await gate.wait()
                            return try .copy(NumberedPages.buffer(for: request, first: 1))
                        })
                    let inner = try await pager.map(
                        byteCount: 4 * page,
                        handler: inMemory
                            ? MemoryHandler(try numberedBytes(4 * page, first: 30)) as any FaultHandler
                            : NumberedPages(first: 30))
                    ctest_touch_on_signal(SIGUSR1, UInt64(inner.address(ofPage: 1)))
                    let thread = FaultingThread {
                        ctest_unblock_signal(SIGUSR1)
                        ctest_use_signal_stack()
                        return outer.word(ofPage: 2)
                    }
                    await thread.waitUntilParked()
                    thread.signal(SIGUSR1)
                    while ctest_touch_count() == 0 { await Task.yield() }
                    #expect(ctest_touched_byte() == 31)
                    #expect(!thread.isFinished)
                    gate.open()
                    #expect(await thread.value == 3)
                }
            }
        }
    #endif
}
