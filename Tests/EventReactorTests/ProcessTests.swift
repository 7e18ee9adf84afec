import CTestSupport
import EventReactor
import Glibc
import Testing

@Suite("Processes", .timeLimit(.minutes(5)))
struct ProcessTests {
    /// Remembers, on the loop, that it was told.
    final class Observer: ProcessExitObserver, Sendable {
        let count = Count()
        let reactor: Reactor
        init(_ reactor: Reactor) { self.reactor = reactor }
        func processExited() {
            #expect(reactor.isOnLoop)
            count.increment()
        }
    }

    @Test("A peer's death is seen, by the kernel's word or by its number", arguments: [false, true])
    func death(byNumber: Bool) async {
        await #expect(processExitsWith: .success) { [byNumber = byNumber as Bool] in
            let reactor = try Reactor.start()
            let listener = try await reactor.listen(on: .unix(path: "\0" + temporarySocketPath()))
            let hold = Witness()
            let child = try forkPeer(to: listener.address) { $0.hold = hold }
            let socket = try await listener.acceptMessages()
            let process = try await socket.peerProcess(byNumber: byNumber)
            #expect(process.processID == child)
            if byNumber { #expect(!process.isExact) }
            let observer = Observer(reactor)
            let removed = Observer(reactor)
            await reactor.run {
                process.addObserver(observer)
                process.addObserver(removed)
                process.removeObserver(removed)
            }
            let waiting = (0..<3).map { _ in Task { try await process.waitForExit() } }
            let cancelled = Task { try await process.waitForExit() }
            for _ in 0..<5 { await reactor.run {} }
            cancelled.cancel()
            await expectCode(.cancelled) { try await cancelled.value }
            #expect(await process.hasExited() == false)
            #expect(observer.count.value == 0)

            #expect(ctest_kill(child) == 0)
            for task in waiting { try await task.value }
            #expect(await process.hasExited())
            #expect(observer.count.value == 1)
            // It is a zombie until now, and can be held as well; later it cannot.
            let zombie = try await reactor.process(child)
            try await zombie.waitForExit()
            #expect(ctest_wait(child) == -1000 - SIGKILL)
            try await process.waitForExit()
            await expectCode(.noSuchProcess) { _ = try await socket.peerProcess(byNumber: true) }
            // Whoever comes late is told at once, and once.
            await reactor.run { process.addObserver(removed) }
            #expect(observer.count.value == 1 && removed.count.value == 1)
            await reactor.shutdown()
        }
    }

    @Test("A connection has a peer process as well, if it is local")
    func connection() async throws {
        let reactor = try Reactor.start()
        let local = try await ConnectionPair.make(on: reactor, isLocal: true)
        let process = try await local.near.peerProcess()
        #expect(process.processID == getpid())
        #expect(await process.hasExited() == false)
        let remote = try await ConnectionPair.make(on: reactor)
        await expectCode(.notLocal) { _ = try await remote.near.peerProcess() }
        await local.near.close()
        await expectCode(.closed) { _ = try await local.near.peerProcess() }

        await expectCode(.noSuchProcess) { _ = try await reactor.process(0) }
        await expectCode(.noSuchProcess) { _ = try await reactor.process(-5) }
        let own = try await reactor.process(getpid())
        let waiting = Task { try await own.waitForExit() }
        for _ in 0..<5 { await reactor.run {} }
        await reactor.shutdown()
        await expectCode(.shutDown) { try await waiting.value }
        await expectCode(.shutDown) { try await own.waitForExit() }
        await expectCode(.shutDown) { _ = try await reactor.process(getpid()) }
    }

    @Test("A handle closes its descriptor with the last reference")
    func descriptors() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let before = ctest_count_handed_descriptors()
            for _ in 0..<10 { _ = try await reactor.process(getpid()) }
            do {
                let held = try await reactor.process(getpid())
                #expect(ctest_count_handed_descriptors() > before)
                withExtendedLifetime(held) {}
            }
            #expect(await settledDescriptorCount(before) == before)
            await reactor.shutdown()
        }
    }
}
