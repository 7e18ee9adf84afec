import CTestSupport
import EventReactor
import Faultline
import FaultlineTestKit
import Glibc
import Testing
import Userfault

@Suite("Refused handovers", .requiresUserfaultfd, .timeLimit(.minutes(5)))
struct AdoptionRefusalTests {
    /// A peer, what is said of it, and how it exits.
    struct Row: Sendable {
        var name: String
        var owner: Owner
        var code: HandoverError.Code
        var status: CInt
    }

    static var rows: [Row] {
        let good = Owner()
        let encoded = (try? MemoryDescription([good.area]).encoded()) ?? []
        func owner(_ change: (inout Owner) -> Void) -> Owner {
            var owner = good
            change(&owner)
            return owner
        }
        var tooMany: [MemoryDescription.Area] = []
        for page in 0..<9 {
            let start = Owner.base + UInt(page * SystemPage.size)
            tooMany.append(.init(AddressRange(start: start, byteCount: SystemPage.size)))
        }
        let crowd = (try? MemoryDescription(tooMany).encoded()) ?? []
        return [
            Row(
                name: "no descriptor", owner: owner { $0.gift = ctest_gift_nothing }, code: .noDescriptor,
                status: 23),
            Row(
                name: "no userfaultfd", owner: owner { $0.gift = ctest_gift_other }, code: .badDescriptor,
                status: 23),
            Row(
                name: "not enabled", owner: owner { $0.gift = ctest_gift_not_enabled }, code: .badDescriptor,
                status: 23),
            Row(
                name: "two descriptors", owner: owner { $0.gift = ctest_gift_two }, code: .tooManyDescriptors,
                status: 23),
            Row(
                name: "malformed", owner: owner { $0.bytes = [1] + encoded.dropFirst() }, code: .malformed,
                status: 22),
            Row(
                name: "more than one description", owner: owner { $0.bytes = encoded + encoded },
                code: .malformed, status: 22),
            Row(
                name: "longer than allowed", owner: owner { $0.bytes = crowd + crowd }, code: .tooLong,
                status: 22),
            Row(name: "too many areas", owner: owner { $0.bytes = crowd }, code: .tooMuch, status: 24),
            Row(name: "too much memory", owner: owner { $0.pages = 65 }, code: .tooMuch, status: 24),
            Row(
                name: "half a description",
                owner: owner {
                    $0.bytes = Array(encoded.dropLast())
                    $0.waitsForVerdict = false
                    $0.deed = ctest_owner_exit
                }, code: .ended, status: 0),
            Row(
                name: "half a description, and waits",
                owner: owner { $0.bytes = Array(encoded.dropLast()) }, code: .timedOut, status: 21),
            Row(name: "silent", owner: owner { $0.deed = ctest_owner_silent }, code: .timedOut, status: 0),
        ]
    }

    @Test("Each mistake gets its error and its answer; nothing leaks, and the next one is served")
    func mistakes() async {
        await #expect(processExitsWith: .success) {
            let rows = Self.rows
            let before = ctest_count_handed_descriptors()
            do {
                let adopting = try await Adopting {
                    $0.timeout = .milliseconds(200)
                    $0.byteLimit = 700
                    $0.limits = .init(areaCount: 8, byteCount: 64 * SystemPage.size)
                }
                try await adopting.run { adoption in
                    do {
                        let memory = try await adoption.serve { _ in NumberedPages() }
                        await expectProcessExited(memory.pager)
                    } catch {
                        Issue.record(error)
                    }
                } while: {
                    for (index, row) in rows.enumerated() {
                        let child = try row.owner.fork(to: adopting.listener.address)
                        let status = try await exitStatus(of: child, on: adopting.reactor)
                        #expect(status == row.status, "\(row.name)")
                        while adopting.refusals.all.count <= index {
                            try await adopting.reactor.sleep(for: .milliseconds(1))
                        }
                        let refusal = adopting.refusals.all[index]
                        #expect(refusal.error.code == row.code, "\(row.name): \(refusal.error)")
                        #expect(refusal.credentials?.processID == child, "\(row.name)")
                        #expect(!refusal.error.description.isEmpty)
                    }
                    let child = try Owner().fork(to: adopting.listener.address)
                    #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
                }
                #expect(adopting.refusals.all.count == rows.count)
            }
            #expect(await settledDescriptorCount(before) == before)
        }
    }

    @Test(
        "Another user is refused before it has said anything",
        .enabled(if: ctest_is_root() != 0, "needs root, to become others"))
    func wrongUser() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            try await adopting.run { _ in
                Issue.record("it was let in")
            } while: {
                let child = try Owner(user: 65534).fork(to: adopting.listener.address)
                // Its socket was closed before it could send, or while it waited.
                #expect([8, 31].contains(try await exitStatus(of: child, on: adopting.reactor)))
                #expect(adopting.refusals.codes == [.notPermitted])
                #expect(adopting.refusals.all.first?.credentials?.userID == 65534)
                #expect(adopting.refusals.all.first?.credentials?.processID == child)
            }
        }
    }

    @Test("Whoever adopts may refuse, or fail, or forget: the peer is told")
    func refusedByOwner() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting()
            let errors = Notes<any Error>()
            try await adopting.run { adoption in
                switch adoption.description.areas[0].offset / (16 * SystemPage.size) {
                case 0:
                    await adoption.refuse()
                    await adoption.refuse()
                    do { _ = try await adoption.serve { _ in NumberedPages() } } catch { errors.add(error) }
                case 1:
                    do { _ = try await adoption.serve { _ in throw StoreIsDown() } } catch {
                        errors.add(error)
                    }
                case 2:
                    // The kernel does not have the area.
                    do { _ = try await adoption.serve { _ in NumberedPages() } } catch { errors.add(error) }
                default:
                    break
                }
            } while: {
                for (number, status) in [21, 21, 21, 31].enumerated() {
                    var owner = Owner(number: number)
                    if number == 2 {
                        // Below what processes may map.
                        let nowhere = AddressRange(start: 1 << 14, byteCount: 1 << 14)
                        let offset = owner.area.offset
                        owner.bytes = try MemoryDescription([owner.area, .init(nowhere, offset: offset)])
                            .encoded()
                    }
                    let child = try owner.fork(to: adopting.listener.address)
                    #expect(try await exitStatus(of: child, on: adopting.reactor) == CInt(status))
                }
            }
            try #require(errors.all.count == 3)
            #expect((errors.all[0] as? HandoverError)?.code == .alreadyTaken)
            #expect(errors.all[1] is StoreIsDown)
            #expect((errors.all[2] as? PagerError)?.code == .kernel)
            #expect(adopting.refusals.all.isEmpty)
        }
    }

    @Test("Memory is adopted once, other descriptors are handed on, and pieces are put together")
    func variants() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting { $0.descriptorLimit = 2 }
            try await adopting.run { adoption in
                do {
                    let hasOther = adoption.description.areas[0].offset > 0
                    #expect(adoption.otherDescriptors.count == (hasOther ? 1 : 0))
                    let memory = try await adoption.serve { _ in NumberedPages() }
                    do {
                        _ = try await adoption.serve { _ in NumberedPages() }
                        Issue.record("it was served twice")
                    } catch let error as HandoverError {
                        #expect(error.code == .alreadyTaken)
                    }
                    await adoption.refuse()
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                for owner in [Owner(firstPart: 1), Owner(number: 1, gift: ctest_gift_two)] {
                    let child = try owner.fork(to: adopting.listener.address)
                    #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
                }
            }
            #expect(adopting.refusals.all.isEmpty)
        }
    }

    @Test("A peer that says nothing keeps its place no longer than it may")
    func places() async {
        await #expect(processExitsWith: .success) {
            let adopting = try await Adopting {
                $0.peersAtOnce = 1
                $0.timeout = .milliseconds(100)
            }
            try await adopting.run { adoption in
                do {
                    let memory = try await adoption.serve { _ in NumberedPages() }
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                let address = adopting.listener.address
                let silent = try (0..<3).map { _ in try Owner(deed: ctest_owner_silent).fork(to: address) }
                let good = try (0..<3).map { _ in try Owner().fork(to: address) }
                for child in good + silent {
                    #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
                }
            }
            #expect(adopting.refusals.codes == [.timedOut, .timedOut, .timedOut])
        }
    }

    @Test("A format of the program's own: its decoder is asked for each piece, and its errors refuse")
    func otherFormat() async {
        await #expect(processExitsWith: .success) {
            let owner = Owner()
            let adopting = try await Adopting {
                // A letter for what to do, and a full stop.
                $0.format = HandoverFormat { bytes in
                    guard bytes.last == UInt8(ascii: ".") else { return nil }
                    guard bytes.first == UInt8(ascii: "y") else { throw StoreIsDown() }
                    return try MemoryDescription([owner.area])
                }
            }
            try await adopting.run { adoption in
                do {
                    let memory = try await adoption.serve { _ in NumberedPages() }
                    await expectProcessExited(memory.pager)
                } catch {
                    Issue.record(error)
                }
            } while: {
                // Nobody is told anything.
                let good = try Owner(bytes: Array("yes.".utf8), firstPart: 2, waitsForVerdict: false)
                    .fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: good, on: adopting.reactor) == 0)
                let bad = try Owner(bytes: Array("no.".utf8)).fork(to: adopting.listener.address)
                #expect(try await exitStatus(of: bad, on: adopting.reactor) == 31)
            }
            #expect(adopting.refusals.codes == [.malformed])
            #expect(adopting.refusals.all.first?.error.underlyingError is StoreIsDown)
        }
    }

    @Test("What is in service outlives the listener; shutdown ends it all", arguments: [false, true])
    func ends(byShutdown: Bool) async {
        await #expect(processExitsWith: .success) { [byShutdown = byShutdown as Bool] in
            let adopting = try await Adopting()
            let hold = HoldPipe()
            let ready = HoldPipe()
            let stopped = Gate()
            let running = Task {
                try await adopting.listener.run { adoption in
                    do {
                        let memory = try await adoption.serve { _ in NumberedPages() }
                        if byShutdown {
                            try await memory.pager.waitUntilStopped()
                        } else {
                            await expectProcessExited(memory.pager)
                        }
                    } catch {
                        Issue.record(error)
                    }
                    stopped.open()
                }
            }
            let child = try Owner(deed: ctest_owner_wait, hold: hold, ready: ready)
                .fork(to: adopting.listener.address)
            try await ready.byte(on: adopting.reactor)
            if byShutdown {
                await adopting.reactor.shutdown()
                await #expect(throws: ReactorError.shutDown) { try await running.value }
                await stopped.wait()
                hold.release()
                #expect(ctest_wait(child) == 0)
            } else {
                await adopting.listener.close()
                hold.release()
                #expect(try await exitStatus(of: child, on: adopting.reactor) == 0)
                try await running.value
                await adopting.reactor.shutdown()
            }
        }
    }
}
