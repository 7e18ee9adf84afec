import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

// With real processes, each test in a process of its own.
@Suite("Memory of other processes", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct AdoptionTests {
    @Test("A process's pages are filled until it exits", arguments: [false, true], [false, true])
    func one(isShared: Bool, inPackets: Bool) async {
        await #expect(processExitsWith: .success) {
            [isShared = isShared as Bool, inPackets = inPackets as Bool] in
            let kind: SocketKind = inPackets ? .sequencedPackets : .stream
            let adopting = try await Adopting { $0.kind = kind }
            let owner = Owner(kind: kind, pages: 50, isShared: isShared, number: 3)
            let served = Notes<AdoptedMemory>()
            try await adopting.run { adoption in
                #expect(adoption.credentials.userID == geteuid())
                #expect(adoption.credentials.processID == adoption.process.processID)
                #expect(adoption.description.areas == [owner.area])
                #expect(adoption.features == [] && adoption.otherDescriptors.isEmpty)
                do {
                    let memory = try await adoption.serve { area in
                        #expect(area == owner.area)
                        return NumberedPages()
                    }
                    #expect(memory.regions.map(\.range) == [owner.range])
                    served.add(memory)
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                let child = try owner.fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
            }
            let memory = try #require(served.all.first)
            #expect(served.all.count == 1)
            #expect(await memory.process.hasExited())
            #expect(adopting.refusals.all.isEmpty)
            let statistics = await memory.pager.statistics
            #expect(statistics.messages >= 50 && statistics.failures == 0)
        }
    }

    @Test("Twenty processes with the same addresses are served at once on one reactor")
    func many() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            let pagers = Notes<Pager>()
            let ready = Gate()
            try await adopting.run { adoption in
                do {
                    // None is answered before all have faulted.
                    let memory = try await adoption.serve { _ in
                        ClosureHandler { request in
                            await ready.wait()
                            return try .copy(NumberedPages.buffer(for: request))
                        }
                    }
                    pagers.add(memory.pager)
                    if pagers.all.count == 20 { ready.open() }
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                let children = try (0..<20).map { number in
                    try Owner(
                        number: number, deed: number % 4 == 0 ? ctest_owner_threads : ctest_owner_walk
                    ).fork(to: adopting.listener.address)
                }
                for child in children {
                    #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
                }
            }
            #expect(pagers.all.count == 20)
            for pager in pagers.all { #expect(await pager.statistics.failures == 0) }
        }
    }

    @Test("A process that is killed while it waits ends its pager, and no other")
    func killed() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            let parked = Gate()
            let cancelled = Notes<Bool>()
            let gate = Gate()
            let dead = Gate()
            try await adopting.run { adoption in
                let isVictim = adoption.description.areas[0].offset == 0
                do {
                    let memory = try await adoption.serve { _ in
                        ClosureHandler { request in
                            if isVictim {
                                parked.open()
                                do {
                                    try await request.sleepForEver(on: adoption.process.reactor)
                                } catch {
                                    cancelled.add(true)
                                    throw error
                                }
                            }
                            await gate.wait()
                            return try .copy(NumberedPages.buffer(for: request))
                        }
                    }
                    await expectProcessExited(memory.pager)
                    if isVictim { dead.open() }
                } catch {
                    Issue.record(error)
                }
            } while: {
                let address = adopting.listener.address
                let victim = try Owner(deed: ctest_owner_threads).fork(to: address)
                let others = try (1...3).map {
                    try Owner(number: $0, deed: ctest_owner_threads).fork(to: address)
                }
                await parked.wait()
                #expect(ctest_kill(victim) == 0)
                await dead.wait()
                #expect(try await exitStatus(of: victim, on: adopting.reactor) == -1000 - SIGKILL)
                // Those wait still, and are served.
                gate.open()
                for child in others { #expect(try await exitStatus(of: child, on: adopting.reactor) == 0) }
            }
            #expect(!cancelled.all.isEmpty)
        }
    }

    @Test("The kernel's word that nobody is there ends a pager that watches no process")
    func refusedByKernel() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let listener = try await reactor.listen(on: .unix(path: "\0faultline-\(getpid())"))
            let owner = Owner(waitsForVerdict: false)
            let child = try owner.fork(to: listener.address)
            let message = try #require(try await listener.acceptMessages().receive(descriptors: 1))
            let number = try #require(message.descriptors.first).release()
            let pager = try await Pager(on: reactor, adopting: Userfaultfd(adopting: number))
            let parked = Gate()
            let gate = Gate()
            let region = try await pager.adopt(
                owner.range,
                handler: ClosureHandler { request in
                    parked.open()
                    await gate.wait()
                    return try .copy(NumberedPages.buffer(for: request))
                })
            await parked.wait()
            #expect(ctest_kill(child) == 0)
            #expect(ctest_wait(child) == -1000 - SIGKILL)
            #expect(await pager.isServing)
            gate.open()
            await expectProcessExited(pager)
            withExtendedLifetime(region) {}
            await reactor.shutdown()
        }
    }

    @Test("A process that becomes another program gives its memory up; its pager goes on until it exits")
    func executes() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            let failures = FailureLog()
            let served = Gate()
            try await adopting.run { adoption in
                do {
                    let configuration = Pager.Configuration(onFailure: { failures.add($0) })
                    let memory = try await adoption.serve(configuration: configuration) { _ in NumberedPages()
                    }
                    // Its descriptors are closed by exec.
                    #expect(try await memory.channel.receive() == nil)
                    #expect(await memory.pager.isServing)
                    try await memory.pager.release(memory.regions[0])
                    await #expect(throws: PagerError.self) {
                        _ = try await memory.pager.adopt(
                            memory.regions[0].range, handler: NumberedPages())
                    }
                    #expect(await memory.process.hasExited() == false)
                    #expect(ctest_kill(memory.process.processID) == 0)
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
                served.open()
            } while: {
                let child = try Owner(deed: ctest_owner_exec).fork(to: adopting.listener.address)
                await served.wait()
                #expect(ctest_wait(child) == -1000 - SIGKILL)
            }
            #expect(failures.failures.isEmpty)
        }
    }

    @Test(
        "The end of the socket is the end of the process where that is said, and nothing elsewhere",
        arguments: [true, false])
    func socketEnds(endsWithChannel: Bool) async {
        await #expect(processExitsWith: .success) { [ends = endsWithChannel as Bool] in
            let adopting = try await Adopting()
            let hold = HoldPipe()
            let done = Gate()
            try await adopting.run { adoption in
                do {
                    let memory = try await adoption.serve(endsWithChannel: ends) { _ in NumberedPages() }
                    if ends {
                        await expectProcessExited(memory.pager)
                        #expect(await memory.process.hasExited() == false)
                    } else {
                        #expect(try await memory.channel.receive() == nil)
                        #expect(await memory.pager.isServing)
                    }
                    hold.release()
                    await expectProcessExited(memory.pager)
                    try await memory.process.waitForExit()
                } catch {
                    Issue.record(error)
                }
                done.open()
            } while: {
                let child = try Owner(deed: ctest_owner_close, hold: hold).fork(to: adopting.listener.address)
                await done.wait()
                #expect(ctest_wait(child) == 0)
            }
        }
    }

    @Test(
        "A process that its pager leaves is shown no zeroes: pages that never came raise SIGBUS",
        .requiresUserfaultfd(.poison))
    func left() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            let hold = HoldPipe()
            try await adopting.run { adoption in
                do {
                    let memory = try await adoption.serve { _ in NumberedPages() }
                    await memory.pager.shutdown()
                } catch {
                    Issue.record(error)
                }
                hold.release()
            } while: {
                let child = try Owner(deed: ctest_owner_wait_and_walk, hold: hold)
                    .fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: child, on: adopting.reactor) == -1000 - SIGBUS)
            }
        }
    }

    @Test(
        "What a process drops reads as zero there, and is not filled again from the store",
        .requiresUserfaultfd(.removeEvents))
    func drops() async {
        await #expect(processExitsWith: .success) {
            let changes = Notes<AddressSpaceChange>()
            let adopting = try await Adopting()
            let owner = Owner(features: .removeEvents, number: 2, deed: ctest_owner_remove)
            try await adopting.run { adoption in
                #expect(adoption.features == .removeEvents)
                do {
                    let configuration = Pager.Configuration(onChange: { changes.add($0) })
                    let memory = try await adoption.serve(configuration: configuration) { _ in NumberedPages()
                    }
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                let child = try owner.fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
            }
            #expect(changes.all.map(\.kind) == [.removed])
            #expect(changes.all.map(\.range) == [owner.range])
        }
    }

    @Test("A process that makes the descriptor blocking does not hold the loop")
    func blocking() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            try await adopting.run { adoption in
                do {
                    let memory = try await adoption.serve { _ in NumberedPages() }
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                let child = try Owner(deed: ctest_owner_blocking).fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
            }
        }
    }

    @Test("A process that is gone already, or watched elsewhere, is not served")
    func wrongProcess() async {
        await #expect(processExitsWith: .success) {
            let reactor = try Reactor.start()
            let made = ctest_make_orphan(UInt64(4 * SystemPage.size), 0)
            try #require(made.fd >= 0)
            let listener = try await reactor.listen(on: .unix(path: "\0faultline-\(getpid())"))
            let hold = HoldPipe()
            let child = try Owner(waitsForVerdict: false, deed: ctest_owner_wait, hold: hold)
                .fork(to: listener.address)
            let process = try await listener.acceptMessages().peerProcess()
            hold.release()
            try await process.waitForExit()
            #expect(ctest_wait(child) == 0)
            do throws(PagerError) {
                _ = try await Pager(
                    on: reactor, adopting: Userfaultfd(adopting: ctest_duplicate(made.fd), features: []),
                    process: process)
                Issue.record("it was made")
            } catch {
                #expect(error.code == .processExited)
            }
            let other = try Reactor.start()
            let elsewhere = try await other.process(getpid())
            do throws(PagerError) {
                _ = try await Pager(
                    on: reactor, adopting: Userfaultfd(adopting: made.fd, features: []), process: elsewhere)
                Issue.record("it was made")
            } catch {
                #expect(error.code == .reactor)
            }
            #expect(ctest_is_open(made.fd) == 0)
            await other.shutdown()
            await reactor.shutdown()
        }
    }
}

extension FaultRequest {
    /// Waits until the task is cancelled.
    fileprivate func sleepForEver(on reactor: Reactor) async throws {
        try await reactor.sleep(for: .seconds(3600))
    }
}
